/**
 * How fast missions come to their end when something happens to the service (docs/reliability.md): `bin/yarn test:recovery`. Ends with 1 where it
 * takes longer than promised there, or the checker complains.
 */
import { loadavg } from 'node:os';
import { commandLine, numberAboveZero } from '#dev/command-line.ts';
import { measureRecovery } from '#test/faults/long/recovery.ts';

const { seed, missions, minutes, kills, temporalDownSeconds } = commandLine(
  'bin/yarn test:recovery',
  'Measures how fast missions come to their end under faults, on a service of its own (docs/reliability.md).',
)
  .option('--seed <n>', 'of missions and faults', numberAboveZero, 1)
  .option('--missions <n>', 'of each of the three measurements', numberAboveZero, 100)
  .option('--minutes <n>', 'in which they come', numberAboveZero, 1.5)
  .option('--kills <n>', 'of processes, in the second measurement', numberAboveZero, 10)
  .option('--temporal-down-seconds <n>', 'in the third', numberAboveZero, 25)
  .parse()
  .opts<Record<'seed' | 'missions' | 'minutes' | 'kills' | 'temporalDownSeconds', number>>();

/** Of a heartbeat, of the sticky queue, and of a workflow task: the table of timeouts in docs/reliability.md. */
const NOTICED_WITHIN_MS = 10_000 + 2_000 + 10_000;
const DONE_AFTER_TEMPORAL_MS = 20_000;

const result = await measureRecovery(
  {
    ...{ seed, missions, kills },
    forMs: minutes * 60_000,
    temporalDownMs: temporalDownSeconds * 1_000,
  },
  console.info,
);
const late = [
  ...(result.underKills.p99Ms > result.clean.p99Ms + NOTICED_WITHIN_MS ? ['under kills'] : []),
  ...(result.afterTemporal.lastAfterReturnMs > DONE_AFTER_TEMPORAL_MS ? ['after Temporal'] : []),
];
console.info(JSON.stringify({ ...result, late, load: loadavg().map((load) => Math.round(load)) }, null, 2));
if (late.length > 0 || result.violations.length > 0) process.exitCode = 1;

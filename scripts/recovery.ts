/**
 * How fast missions come to their end when something happens to the service (docs/reliability.md): `bin/yarn test:recovery`. Ends with 1 where it
 * takes longer than promised there, or the checker complains.
 */
import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { measureRecovery } from '#test/faults/long/recovery.ts';
import { numberOption } from './number-option.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    missions: { type: 'string', default: '100' },
    minutes: { type: 'string', default: '1.5' },
    kills: { type: 'string', default: '10' },
    'temporal-down-seconds': { type: 'string', default: '25' },
  },
});

const numberOf = (name: keyof typeof values): number => numberOption(name, values[name]);

/** Of a heartbeat, of the sticky queue, and of a workflow task: the table of timeouts in docs/reliability.md. */
const NOTICED_WITHIN_MS = 10_000 + 2_000 + 10_000;
const DONE_AFTER_TEMPORAL_MS = 20_000;

const result = await measureRecovery(
  {
    seed: numberOf('seed'),
    missions: numberOf('missions'),
    forMs: numberOf('minutes') * 60_000,
    kills: numberOf('kills'),
    temporalDownMs: numberOf('temporal-down-seconds') * 1_000,
  },
  console.info,
);
const late = [
  ...(result.underKills.p99Ms > result.clean.p99Ms + NOTICED_WITHIN_MS ? ['under kills'] : []),
  ...(result.afterTemporal.lastAfterReturnMs > DONE_AFTER_TEMPORAL_MS ? ['after Temporal'] : []),
];
console.info(JSON.stringify({ ...result, late, load: loadavg().map((load) => Math.round(load)) }, null, 2));
if (late.length > 0 || result.violations.length > 0) process.exitCode = 1;

/**
 * A steady load for half an hour (docs/reliability.md): `bin/yarn test:soak`. Ends with 1 where the checker complains, or where a process holds
 * more of something at the end than early on, beyond what is allowed.
 */
import { commandLine, numberAboveZero } from '#dev/command-line.ts';
import { soak, type Drift } from '#test/faults/long/soak.ts';

const { seed, minutes, missionsPerMinute } = commandLine(
  'bin/yarn test:soak',
  'A steady load on a service of its own (docs/reliability.md).',
)
  .option('--seed <n>', 'of the missions', numberAboveZero, 1)
  .option('--minutes <n>', 'how long', numberAboveZero, 30)
  .option('--missions-per-minute <n>', 'how many', numberAboveZero, 60)
  .parse()
  .opts<{ seed: number; minutes: number; missionsPerMinute: number }>();

const MB = 1_048_576;
/** A heap is collected when it likes; what leaks goes on growing. */
const grew = ({ process: name, early, late }: Drift): string[] => [
  ...(late.heapUsedBytes > 1.3 * early.heapUsedBytes + 10 * MB ? [`${name}: heap`] : []),
  ...(late.openFiles > early.openFiles + 10 ? [`${name}: open files`] : []),
  ...(late.activeResources > early.activeResources + 20 ? [`${name}: active resources`] : []),
  ...(late.loopLagP99Seconds > 2 * early.loopLagP99Seconds + 0.1 ? [`${name}: lag of the event loop`] : []),
];

const forMs = minutes * 60_000;
const missions = Math.ceil(minutes * missionsPerMinute);
const result = await soak({ seed, missions, forMs }, Math.min(10_000, Math.ceil(forMs / 40)));
const grown = result.drifts.flatMap(grew);
console.info(JSON.stringify({ ...result, grown }, null, 2));
if (grown.length > 0 || result.violations.length > 0) process.exitCode = 1;

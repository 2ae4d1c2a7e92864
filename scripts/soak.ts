/**
 * A steady load for half an hour (docs/reliability.md): `bin/yarn test:soak`. Ends with 1 where the checker complains, or where a process holds
 * more of something at the end than early on, beyond what is allowed.
 */
import { parseArgs } from 'node:util';
import { soak, type Drift } from '#test/faults/long/soak.ts';
import { numberOption } from './number-option.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    minutes: { type: 'string', default: '30' },
    'missions-per-minute': { type: 'string', default: '60' },
  },
});

const numberOf = (name: keyof typeof values): number => numberOption(name, values[name]);

const MB = 1_048_576;
/** A heap is collected when it likes; what leaks goes on growing. */
const grew = ({ process: name, early, late }: Drift): string[] => [
  ...(late.heapUsedBytes > 1.3 * early.heapUsedBytes + 10 * MB ? [`${name}: heap`] : []),
  ...(late.openFiles > early.openFiles + 10 ? [`${name}: open files`] : []),
  ...(late.activeResources > early.activeResources + 20 ? [`${name}: active resources`] : []),
  ...(late.loopLagP99Seconds > 2 * early.loopLagP99Seconds + 0.1 ? [`${name}: lag of the event loop`] : []),
];

const forMs = numberOf('minutes') * 60_000;
const missions = Math.ceil(numberOf('minutes') * numberOf('missions-per-minute'));
const result = await soak(
  { seed: numberOf('seed'), missions, forMs },
  Math.min(10_000, Math.ceil(forMs / 40)),
);
const grown = result.drifts.flatMap(grew);
console.info(JSON.stringify({ ...result, grown }, null, 2));
if (grown.length > 0 || result.violations.length > 0) process.exitCode = 1;

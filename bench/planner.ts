/**
 * `bin/yarn bench:planner [--small]`: what a planner round costs besides the model's own time, and the memory of many rounds in
 * flight. Prints Markdown for docs/performance.md, with the machine and its load.
 */
import { parseArgs } from 'node:util';
import { machine } from './measure.ts';
import { benchMemory } from './planner/memory.ts';
import { benchOverhead } from './planner/overhead.ts';
import { POOL_SIZE, startBenchSystem } from './system.ts';

const { values } = parseArgs({ options: { small: { type: 'boolean', default: false } } });
const sizes = values.small
  ? { overhead: { samples: 10, warmUps: 2 }, rounds: 20 }
  : { overhead: { samples: 500, warmUps: 50 }, rounds: 500 };

const system = await startBenchSystem();
try {
  console.log(`Before: ${machine()}`);
  console.log(`${POOL_SIZE} connections a pool, PostgreSQL without fsync; variants in turns.\n`);
  // First: what the other figures leave behind would be counted.
  console.log(await benchMemory(system, sizes.rounds));
  console.log(await benchOverhead(system, sizes.overhead));
  console.log(`After: ${machine()}`);
} finally {
  await system.close();
}

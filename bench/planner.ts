import { benchMemory } from './planner/memory.ts';
import { benchOverhead } from './planner/overhead.ts';
import type { Findings, PartOptions } from './results/result.ts';
import { POOL_SIZE, startBenchSystem } from './system.ts';

const FULL = { overhead: { samples: 500, warmUps: 50 }, rounds: 500 };
const SMALL: typeof FULL = { overhead: { samples: 10, warmUps: 2 }, rounds: 20 };

/** What a planner round costs besides the model's own time, and the memory of many rounds in flight. */
export async function benchPlanner({ isSmall }: PartOptions): Promise<Findings> {
  const sizes = isSmall ? SMALL : FULL;
  const system = await startBenchSystem();
  try {
    // First: what the other figures leave behind would be counted.
    const memory = await benchMemory(system, sizes.rounds);
    const overhead = await benchOverhead(system, sizes.overhead);
    return {
      settings: { 'connections a pool': POOL_SIZE, PostgreSQL: 'without fsync' },
      tables: [overhead, memory],
    };
  } finally {
    await system.close();
  }
}

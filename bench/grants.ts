import { benchMint } from './mint.ts';
import { benchSealAndOpen } from './seal.ts';
import { POOL_SIZE, startBenchSystem } from './system.ts';
import type { Findings, PartOptions } from './results/result.ts';

/**
 * Minting, sealing, opening and unwrapping, each as ratio to its bare cryptography in the same run, one sample of each after the
 * other.
 */
export async function benchGrants({ isSmall }: PartOptions): Promise<Findings> {
  const system = await startBenchSystem();
  try {
    const mint = await benchMint(system, isSmall ? SMALL.mint : FULL.mint);
    const sealed = await benchSealAndOpen(system, isSmall ? SMALL.seal : FULL.seal);
    return {
      settings: {
        grants: 'v2',
        'RSA bits': 2048,
        'connections a pool': POOL_SIZE,
        PostgreSQL: 'without fsync',
      },
      tables: [mint.table, ...sealed],
      aims: mint.aims,
      notes: mint.notes,
    };
  } finally {
    await system.close();
  }
}

const FULL = {
  mint: { samples: 500, warmUps: 100 },
  seal: { records: 1_000, samples: 15, warmUps: 3, unwraps: 1_000 },
};
const SMALL: typeof FULL = {
  mint: { samples: 5, warmUps: 1 },
  seal: { records: 10, samples: 3, warmUps: 1, unwraps: 10 },
};

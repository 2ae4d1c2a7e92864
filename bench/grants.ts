/**
 * `bin/yarn bench`: minting, sealing, opening and unwrapping, each as ratio to its bare cryptography in the same run, on the
 * embedded PostgreSQL. Prints Markdown for docs/performance.md, with the machine and its load.
 */
import { machine } from './measure.ts';
import { benchMint } from './mint.ts';
import { benchSealAndOpen } from './seal.ts';
import { POOL_SIZE, startBenchSystem } from './system.ts';

const system = await startBenchSystem();
try {
  console.log(`Before: ${machine()}`);
  console.log(
    `Grants v2, RSA-2048, ${POOL_SIZE} connections a pool, PostgreSQL without fsync; variants in turns.\n`,
  );
  console.log(await benchMint(system));
  console.log(await benchSealAndOpen(system));
  console.log(`After: ${machine()}`);
} finally {
  await system.close();
}

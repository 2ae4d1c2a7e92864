import { z } from 'zod';
import { connect, loadTemporalConfig } from '#temporal/connection.ts';
import { setUpTemporal } from '#temporal/setup.ts';
import { endCommandOnUncaughtErrors } from '#logging/uncaught-errors.ts';

endCommandOnUncaughtErrors('temporal:setup');

/** `yarn temporal:setup`: the namespace and search attributes, with `TEMPORAL_*` alone; running it again is fine. */
const retentionDays = z.coerce.number().int().min(1).max(3650).optional();

async function main(): Promise<void> {
  const retention = retentionDays.safeParse(process.env['TEMPORAL_RETENTION_DAYS'] || undefined);
  if (!retention.success)
    throw new Error('TEMPORAL_RETENTION_DAYS: expected a whole number of days, 1 to 3650');
  const config = loadTemporalConfig(process.env);
  const connection = await connect(config);
  try {
    const setup = await setUpTemporal(connection, config.namespace, {
      ...(retention.data !== undefined && { retentionDays: retention.data }),
    });
    const added = setup.searchAttributesAdded.join(', ') || 'none missing';
    console.log(`namespace ${config.namespace}: ${setup.namespaceCreated ? 'created' : 'exists'}`);
    console.log(`search attributes added: ${added}`);
  } finally {
    await connection.close();
  }
}

try {
  await main();
} catch (error) {
  // Every message here is ours or the server's; none of them holds an API key.
  console.error(`temporal:setup failed: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}

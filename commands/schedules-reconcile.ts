import { parseArgs } from 'node:util';
import { loadTemporalCommandConfig } from '#config/temporal-command.ts';
import { runReconcile } from '#schedules/system-workflows.ts';
import { connectClient } from '#temporal/connection.ts';
import { createDataConverter } from '#temporal/data-converter.ts';
import { endCommandOnUncaughtErrors } from '#logging/uncaught-errors.ts';

endCommandOnUncaughtErrors('schedules:reconcile');

/**
 * `yarn schedules:reconcile [--timeout-seconds <n>]`: has the projection compare all missions with all schedules and mend
 * what drifted apart, and prints the counts as one JSON line. Needs `TEMPORAL_*` and `TEMPORAL_CODEC_KEYS` alone. When the
 * time is up the reconcile goes on without us.
 */
const DEFAULT_TIMEOUT_SECONDS = '1800';

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { 'timeout-seconds': { type: 'string', default: DEFAULT_TIMEOUT_SECONDS } },
  });
  const timeoutSeconds = Number(values['timeout-seconds']);
  if (!Number.isInteger(timeoutSeconds) || timeoutSeconds < 1) {
    throw new Error('--timeout-seconds: expected a whole number of seconds, 1 or more');
  }
  const { temporal, codecKeys } = loadTemporalCommandConfig(process.env);
  const connected = await connectClient(temporal, createDataConverter(codecKeys));
  try {
    const result = await runReconcile(connected.client, timeoutSeconds * 1_000);
    console.log(JSON.stringify(result));
    if (result.failed > 0) process.exitCode = 1;
  } finally {
    await connected.close();
  }
}

try {
  await main();
} catch (error) {
  // Every message here is ours or the server's; none of them holds a key.
  console.error(`schedules:reconcile failed: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}

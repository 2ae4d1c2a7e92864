import type { Command } from 'commander';
import { loadTemporalCommandConfig } from '#config/temporal-command.ts';
import { runReconcile } from '#schedules/system-workflows.ts';
import { connectClient } from '#temporal/connection.ts';
import { createDataConverter } from '#temporal/data-converter.ts';
import { print, wholeSeconds } from './verb.ts';

const DEFAULT_TIMEOUT_SECONDS = 1800;

/**
 * `bin/yarn missions reconcile [--timeout-seconds <n>]`: has the projection compare all missions with all schedules and mend
 * what drifted apart, and prints the counts. Needs `TEMPORAL_*` and `TEMPORAL_CODEC_KEYS` alone. When the time is up the
 * reconcile goes on without us.
 */
async function reconcile(timeoutSeconds: number, verb: Command): Promise<void> {
  const { temporal, codecKeys } = loadTemporalCommandConfig(process.env);
  const connected = await connectClient(temporal, createDataConverter(codecKeys));
  try {
    const result = await runReconcile(connected.client, timeoutSeconds * 1_000);
    const counts = Object.entries(result).map(([name, count]) => `${name}: ${count}`);
    print(verb, result, counts.join('\n'));
    if (result.failed > 0) process.exitCode = 1;
  } finally {
    await connected.close();
  }
}

export const addReconcile = (program: Command): void => {
  program
    .command('reconcile')
    .description('compares all missions with all schedules and mends what drifted apart')
    .option('--timeout-seconds <n>', 'how long to wait for the counts', wholeSeconds, DEFAULT_TIMEOUT_SECONDS)
    .addHelpText('after', '\nEnvironment: TEMPORAL_*, TEMPORAL_CODEC_KEYS')
    .action((options: { readonly timeoutSeconds: number }, verb: Command) =>
      reconcile(options.timeoutSeconds, verb),
    );
};

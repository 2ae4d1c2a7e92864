import type { Command } from 'commander';
import { loadTemporalCommandConfig } from '#config/temporal-command.ts';
import { runSweep } from '#schedules/system-workflows.ts';
import { connectClient } from '#temporal/connection.ts';
import { createDataConverter } from '#temporal/data-converter.ts';
import { print } from './verb.ts';

/** Longer than an attempt of the sweep may take. */
const WITHIN_MS = 6 * 60_000;

/** `bin/yarn missions sweep`: has a runner forget what terminated runs left behind, as it does every quarter of an hour. */
async function sweep(verb: Command): Promise<void> {
  const { temporal, codecKeys } = loadTemporalCommandConfig(process.env);
  const connected = await connectClient(temporal, createDataConverter(codecKeys));
  try {
    const result = await runSweep(connected.client, WITHIN_MS);
    print(verb, result, `swept: ${result.swept}`);
  } finally {
    await connected.close();
  }
}

const HELP = `
A run that was terminated leaves its hold on its mission, sealed rows and keys behind; runs that claimed it less than ten minutes ago are
left alone. A runner does the work: without one nothing happens, and after six minutes the exit code is 1.

Example:
  bin/yarn missions sweep --json

Environment: TEMPORAL_*, TEMPORAL_CODEC_KEYS`;

export const addSweep = (program: Command): void => {
  program
    .command('sweep')
    .description('forgets what terminated runs left behind, now')
    .addHelpText('after', HELP)
    .action((_options: object, verb: Command) => sweep(verb));
};

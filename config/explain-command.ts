import { z } from 'zod';
import { readCommandVariables } from './command-variables.ts';
import { shapes } from './settings.ts';
import { databaseUrl, privateKeys } from './variables.ts';

const schema = z.object({
  SYNC_DATABASE_URL_PROJECTION: databaseUrl,
  SYNC_DATABASE_URL_API: databaseUrl.optional(),
  SYNC_DATABASE_URL_RUNNER: databaseUrl.optional(),
  MANA_AI_PRIVATE_KEY_PEM: privateKeys.default([]),
  DEFAULT_TOKENS_PER_DAY: shapes.runner.DEFAULT_TOKENS_PER_DAY,
});

const FALLBACKS = Object.fromEntries(
  ['PROJECTION', 'API', 'RUNNER'].map((part) => [`SYNC_DATABASE_URL_${part}`, 'SYNC_DATABASE_URL']),
);

/** What an operator's command reads that looks at one mission; what is null cannot be looked at. */
export interface ExplainConfig {
  readonly projectionUrl: string;
  readonly apiUrl: string | null;
  readonly runnerUrl: string | null;
  /** Of the runner; empty: grants are not tried. */
  readonly privateKeys: z.output<typeof schema>['MANA_AI_PRIVATE_KEY_PEM'];
  readonly defaultTokensPerDay: number;
}

/**
 * Reads it as the processes do: each may also come from the file that `<name>_FILE` names, and `SYNC_DATABASE_URL` is the one of
 * every part that has none of its own.
 *
 * @throws Error that names every variable that cannot be used, and shows no value
 */
export function loadExplainConfig(env: Readonly<Record<string, string | undefined>>): ExplainConfig {
  const read = readCommandVariables(schema, env, (problems) => new Error(problems.join('\n')), FALLBACKS);
  return {
    projectionUrl: read.SYNC_DATABASE_URL_PROJECTION,
    apiUrl: read.SYNC_DATABASE_URL_API ?? null,
    runnerUrl: read.SYNC_DATABASE_URL_RUNNER ?? null,
    privateKeys: read.MANA_AI_PRIVATE_KEY_PEM,
    defaultTokensPerDay: read.DEFAULT_TOKENS_PER_DAY,
  };
}

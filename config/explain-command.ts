import { z } from 'zod';
import { readSecret } from './secret-file.ts';
import { databaseUrl, integer, privateKeys } from './variables.ts';

const schema = z.object({
  SYNC_DATABASE_URL_PROJECTION: databaseUrl,
  SYNC_DATABASE_URL_API: databaseUrl.optional(),
  SYNC_DATABASE_URL_RUNNER: databaseUrl.optional(),
  MANA_AI_PRIVATE_KEY_PEM: privateKeys.default([]),
  DEFAULT_TOKENS_PER_DAY: integer(0, 1_000_000_000).default(500_000),
});

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
 * Reads it as the processes do, secrets also from the file that `<name>_FILE` names.
 *
 * @throws Error that names every variable that cannot be used, and shows no value
 */
export function loadExplainConfig(env: Readonly<Record<string, string | undefined>>): ExplainConfig {
  const names = Object.keys(schema.shape);
  const parsed = schema.safeParse(Object.fromEntries(names.map((name) => [name, readSecret(env, name)])));
  if (!parsed.success) {
    const problems = parsed.error.issues.map(({ path, message }) => `${String(path[0])}: ${message}`);
    throw new Error(problems.join('\n'));
  }
  const read = parsed.data;
  return {
    projectionUrl: read.SYNC_DATABASE_URL_PROJECTION,
    apiUrl: read.SYNC_DATABASE_URL_API ?? null,
    runnerUrl: read.SYNC_DATABASE_URL_RUNNER ?? null,
    privateKeys: read.MANA_AI_PRIVATE_KEY_PEM,
    defaultTokensPerDay: read.DEFAULT_TOKENS_PER_DAY,
  };
}

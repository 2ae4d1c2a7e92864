import { withClient } from '#dev/platform-schema.ts';
import type { PlatformDatabases } from '#dev/databases.ts';

/** What a run keeps between its activities and must have forgotten at its end. */
const FORGOTTEN_TABLES = [
  'sealed_inputs',
  'run_grants',
  'model_calls',
  'run_transcripts',
  'run_keys',
  'run_notes',
  'research_tasks',
  'run_slots',
] as const;
export type ForgottenTable = (typeof FORGOTTEN_TABLES)[number];

export const NOTHING_LEFT: Readonly<Record<ForgottenTable, number>> = {
  sealed_inputs: 0,
  run_grants: 0,
  model_calls: 0,
  run_transcripts: 0,
  run_keys: 0,
  run_notes: 0,
  research_tasks: 0,
  run_slots: 0,
};

/** Counts a mission's rows in the tables that runs have to leave empty, as a user who sees every row. */
export const countLeftovers = (
  databases: PlatformDatabases,
  missionId: string,
): Promise<Record<ForgottenTable, number>> =>
  withClient(databases.superuser.syncUrl, async (client) => {
    const counts = { ...NOTHING_LEFT };
    for (const table of FORGOTTEN_TABLES) {
      const { rowCount } = await client.query(`select from mana_ai.${table} where mission_id = $1`, [
        missionId,
      ]);
      counts[table] = rowCount ?? 0;
    }
    return counts;
  });

/** The rounds of a mission's runs that were counted as paid for. */
export const readPaidRounds = (databases: PlatformDatabases, missionId: string): Promise<number[]> =>
  withClient(databases.superuser.syncUrl, async (client) => {
    const { rows } = await client.query<{ round: number }>(
      `select round from mana_ai.token_usage where mission_id = $1 and purpose = 'plan' order by round`,
      [missionId],
    );
    return rows.map((row) => row.round);
  });

/** `<table> <status>` of every row in the decrypt audit of a mission. */
export const readAudit = (databases: PlatformDatabases, missionId: string): Promise<string[]> =>
  withClient(databases.superuser.syncUrl, async (client) => {
    const { rows } = await client.query<{ entry: string }>(
      `select table_name || ' ' || status as entry from mana_ai.decrypt_audit where mission_id = $1 order by 1`,
      [missionId],
    );
    return rows.map((row) => row.entry);
  });

/** Iterations in the rows that the runner wrote, claims left out: one array for each such row. */
export const readWrittenIterations = (
  databases: PlatformDatabases,
  missionId: string,
): Promise<unknown[][]> =>
  withClient(databases.superuser.syncUrl, async (client) => {
    const { rows } = await client.query<{ iterations: unknown[] | null }>(
      `select data -> 'iterations' as iterations from public.sync_changes
       where record_id = $1 and client_id = 'mana-ai-runner'
         and not coalesce(data -> 'iterations', '[]') @> '[{"overallStatus": "running", "source": "server"}]'
       order by created_at`,
      [missionId],
    );
    return rows.map((row) => row.iterations ?? []);
  });

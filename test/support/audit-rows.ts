import type { Client } from 'pg';
import { withClient } from '#dev/platform-schema.ts';
import type { PlatformDatabases } from '#dev/databases.ts';

export interface AuditRowToInsert {
  readonly missionId?: string;
  readonly iterationId?: string | null;
  readonly recordId?: string;
  readonly status?: 'ok' | 'failed' | 'scope-violation';
  readonly reason?: string | null;
}

/** Runs `work` in one transaction as `userId`, committed at its end. */
export async function asUser<T>(client: Client, userId: string, work: () => Promise<T>): Promise<T> {
  await client.query('begin');
  try {
    await client.query(`select set_config('app.current_user_id', $1, true)`, [userId]);
    const result = await work();
    await client.query('commit');
    return result;
  } catch (error) {
    await client.query('rollback');
    throw error;
  }
}

/** One statement, one row, with the contract's plain columns. Call it inside `asUser`. */
export const insertAuditRow = (client: Client, userId: string, row: AuditRowToInsert = {}) =>
  client.query(
    `insert into mana_ai.decrypt_audit (user_id, mission_id, iteration_id, table_name, record_id, status, reason)
     values ($1, $2, $3, 'notes', $4, $5, $6)`,
    [
      userId,
      row.missionId ?? 'm1',
      row.iterationId ?? null,
      row.recordId ?? 'n1',
      row.status ?? 'ok',
      row.reason ?? null,
    ],
  );

/** Adds rows as another service of the platform, which may name their time; oldest first, all at the given age. */
export const addAuditRows = (
  databases: PlatformDatabases,
  userId: string,
  count: number,
  ageDays = 0,
): Promise<void> =>
  withClient(databases.superuser.syncUrl, (client) =>
    asUser(client, userId, async () => {
      await client.query(
        `insert into mana_ai.decrypt_audit (user_id, mission_id, iteration_id, table_name, record_id, status, ts)
         select $1, 'm1', 'it-1', 'notes', 'n' || n, 'ok', clock_timestamp() - $3 * interval '1 day'
         from generate_series(1, $2::int) as n`,
        [userId, count, ageDays],
      );
    }),
  );

/** `seq` of every row of a user, in the order of the chain. */
export const readSeqs = (databases: PlatformDatabases, userId: string): Promise<number[]> =>
  withClient(databases.superuser.syncUrl, async (client) => {
    const { rows } = await client.query<{ seq: string }>(
      'select seq from mana_ai.decrypt_audit where user_id = $1 order by decrypt_audit.seq',
      [userId],
    );
    return rows.map((row) => Number(row.seq));
  });

/** Changes the audit as nobody should: as superuser, with the triggers off. */
export const tamper = (
  databases: PlatformDatabases,
  sql: string,
  values: readonly unknown[] = [],
): Promise<void> =>
  withClient(databases.superuser.syncUrl, async (client) => {
    await client.query(`set session_replication_role = 'replica'`);
    await client.query(sql, [...values]);
  });

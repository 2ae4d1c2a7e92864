import type { SystemSql, UserTransaction } from './client.ts';
import { readRows, type LargeValues, type StoredRow, type StoredRowOfRecord } from './record-rows.ts';
import { sql } from './sql.ts';
import { RUNNER_CLIENT_ID } from '#domain/wire/rows.ts';

/** Names a record of one user in the change log. */
export interface RecordRef {
  readonly appId: string;
  readonly table: string;
  readonly recordId: string;
}

export const MISSIONS = { appId: 'ai', table: 'aiMissions' } as const;
export const AGENTS = { appId: 'ai', table: 'agents' } as const;

/**
 * Reads the rows of one record as far as they make it, see `readRows`; who opens its ciphertexts asks for them. The user id
 * stands in the query as well as in the row-level security: both have to fail before another user's row gets in.
 */
export const readRecordRows = (tx: UserTransaction, ref: RecordRef): Promise<StoredRowOfRecord[]> =>
  readRows(
    tx,
    sql`app_id = ${ref.appId} and table_name = ${ref.table} and record_id = ${ref.recordId}`,
    'clear',
  );

/** Reads the rows of many records at once; the key of the result is `recordKey`. */
export async function readRowsOfRecords(
  tx: UserTransaction,
  refs: readonly RecordRef[],
  large: LargeValues,
): Promise<ReadonlyMap<string, StoredRow[]>> {
  if (refs.length === 0) return new Map();
  const rows = await readRows(
    tx,
    sql`(app_id, table_name, record_id) in (select * from unnest(
      ${refs.map((ref) => ref.appId)}::text[], ${refs.map((ref) => ref.table)}::text[],
      ${refs.map((ref) => ref.recordId)}::text[]))`,
    large,
  );
  return Map.groupBy(rows, (row) => recordKey(row.table, row.recordId));
}

/**
 * Reads the rows of the user's `timeBlocks` records by id, with what they say of times; the key of the result is the
 * record id. The contract names no app for that table.
 */
export async function readTimeBlockRows(
  tx: UserTransaction,
  recordIds: readonly string[],
): Promise<ReadonlyMap<string, StoredRow[]>> {
  if (recordIds.length === 0) return new Map();
  const where = sql`table_name = 'timeBlocks' and record_id = any(${recordIds}::text[])`;
  return Map.groupBy(await readRows(tx, where, 'clear'), ({ recordId }) => recordId);
}

export const recordKey = (table: string, recordId: string): string => `${table}:${recordId}`;

/** The database's clock in milliseconds, as a column. */
export const clockMs = sql`floor(extract(epoch from clock_timestamp()) * 1000)::float8`;

/** The database's clock in milliseconds: it also stamps `created_at`, so field times and row times agree. */
export async function readClockMs(statements: SystemSql): Promise<number> {
  const [row] = await statements<{ nowMs: number }[]>`select ${clockMs} as "nowMs"`;
  if (row === undefined) throw new Error('the database returned no clock');
  return row.nowMs;
}

export async function changeExists(tx: UserTransaction, changeId: string): Promise<boolean> {
  const rows = await tx`select 1 from public.sync_changes where id = ${changeId} and user_id = ${tx.userId}`;
  return rows.length > 0;
}

/** Which of these rows the user has. */
export async function existingChanges(
  tx: UserTransaction,
  changeIds: readonly string[],
): Promise<ReadonlySet<string>> {
  const rows = await tx<{ id: string }[]>`
    select id from public.sync_changes where id = any(${changeIds}::uuid[]) and user_id = ${tx.userId}`;
  return new Set(rows.map(({ id }) => id));
}

/** JSON as it goes to the wire; times inside are text already. */
export type JsonObject = Readonly<Record<string, unknown>>;

export interface MissionUpdate {
  readonly changeId: string;
  readonly missionId: string;
  readonly spaceId: string | null;
  readonly data: JsonObject;
  /** A time for each field of `data`: a device drops a field without one (docs/platform.md section 1). */
  readonly fieldMeta: Readonly<Record<string, string>>;
  readonly actor: JsonObject;
  readonly origin: 'agent' | 'system';
}

/**
 * Writes one update row of a mission, once: the id is deterministic, so a second attempt changes nothing.
 *
 * `created_at` is the clock at the insert, not the transaction's begin: a device pulls by `created_at > last pull`, and a
 * row that becomes visible with an older time would never reach it.
 *
 * @returns false when a row with this id is there already (of whichever user)
 */
export async function insertMissionUpdate(tx: UserTransaction, update: MissionUpdate): Promise<boolean> {
  const rows = await tx`
    insert into public.sync_changes
      (id, app_id, table_name, record_id, user_id, space_id, op, data, field_meta, client_id, created_at,
       schema_version, actor, origin)
    values
      (${update.changeId}, ${MISSIONS.appId}, ${MISSIONS.table}, ${update.missionId}, ${tx.userId}, ${update.spaceId},
       'update', ${JSON.stringify(update.data)}::text::jsonb, ${JSON.stringify(update.fieldMeta)}::text::jsonb,
       ${RUNNER_CLIENT_ID}, clock_timestamp(), 1, ${JSON.stringify(update.actor)}::text::jsonb, ${update.origin})
    on conflict (id) do nothing
    returning id`;
  return rows.length > 0;
}

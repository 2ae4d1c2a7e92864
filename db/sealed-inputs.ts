import type { UserTransaction } from './client.ts';

/** One record of one run, for the audit log (docs/platform.md section 8). */
export interface AuditedRecord {
  readonly missionId: string;
  readonly iterationId: string;
  readonly table: string;
  readonly recordId: string;
}

/** What an earlier attempt of the same run has written already. */
export interface SealedBefore {
  /** Keys `<table>:<id>` of records with a sealed row. */
  readonly sealed: ReadonlySet<string>;
  /** Keys of records with a `failed` or `scope-violation` row of this iteration. */
  readonly refused: ReadonlySet<string>;
}

/** A retried activity must not audit the same opening twice. Call it under the mission's lock. */
export async function readSealedBefore(
  tx: UserTransaction,
  run: { readonly missionId: string; readonly iterationId: string; readonly runId: string },
): Promise<SealedBefore> {
  const [sealed, refused] = await Promise.all([
    tx<{ key: string }[]>`
      select table_name || ':' || record_id as key from mana_ai.sealed_inputs
      where user_id = ${tx.userId} and run_id = ${run.runId}`,
    tx<{ key: string }[]>`
      select table_name || ':' || record_id as key from mana_ai.decrypt_audit
      where user_id = ${tx.userId} and mission_id = ${run.missionId} and iteration_id = ${run.iterationId}
        and status <> 'ok'`,
  ]);
  return { sealed: new Set(sealed.map((row) => row.key)), refused: new Set(refused.map((row) => row.key)) };
}

/** A record as it is sealed for one run. */
export interface SealedRecord {
  readonly table: string;
  readonly recordId: string;
  readonly sealed: Buffer;
}

/**
 * Writes the audit rows and the sealed rows that refer to them, in one statement: none stands without the other.
 *
 * @param records each record once; as many as fit a statement
 */
export function insertSealedRecords(
  tx: UserTransaction,
  run: { readonly missionId: string; readonly iterationId: string; readonly runId: string },
  records: readonly SealedRecord[],
): void {
  if (records.length === 0) return;
  tx.ahead`
    with wanted as (
      select * from unnest(
        ${records.map((record) => record.table)}::text[],
        ${records.map((record) => record.recordId)}::text[],
        ${records.map((record) => record.sealed.toString('base64'))}::text[]
      ) with ordinality as wanted (table_name, record_id, sealed_base64, position)
    ), audited as (
      insert into mana_ai.decrypt_audit (user_id, mission_id, iteration_id, table_name, record_id, status)
      select ${tx.userId}, ${run.missionId}, ${run.iterationId}, table_name, record_id, 'ok' from wanted order by position
      returning id, table_name, record_id
    )
    insert into mana_ai.sealed_inputs (user_id, run_id, table_name, record_id, mission_id, sealed, audit_id)
    select ${tx.userId}, ${run.runId}, table_name, record_id, ${run.missionId}, decode(sealed_base64, 'base64'), audited.id
    from audited join wanted using (table_name, record_id)`;
}

/** Writes why a record was not opened; `reason` names fields or scope, never content. */
export async function insertRefusal(
  tx: UserTransaction,
  record: AuditedRecord & { readonly status: 'failed' | 'scope-violation'; readonly reason: string },
): Promise<void> {
  await tx`
    insert into mana_ai.decrypt_audit (user_id, mission_id, iteration_id, table_name, record_id, status, reason)
    values (${tx.userId}, ${record.missionId}, ${record.iterationId}, ${record.table}, ${record.recordId},
      ${record.status}, ${record.reason})`;
}

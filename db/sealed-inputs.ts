import type { UserTransaction } from './client.ts';
import type { UserId } from '../domain/ids.ts';

/** One record of one run, for the audit log (contract section 8). */
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
  userId: UserId,
  run: { readonly missionId: string; readonly iterationId: string; readonly runId: string },
): Promise<SealedBefore> {
  const sealed = await tx<{ key: string }[]>`
    select table_name || ':' || record_id as key from mana_ai.sealed_inputs
    where user_id = ${userId} and run_id = ${run.runId}`;
  const refused = await tx<{ key: string }[]>`
    select table_name || ':' || record_id as key from mana_ai.decrypt_audit
    where user_id = ${userId} and mission_id = ${run.missionId} and iteration_id = ${run.iterationId}
      and status <> 'ok'`;
  return { sealed: new Set(sealed.map((row) => row.key)), refused: new Set(refused.map((row) => row.key)) };
}

/** Writes the audit row and the sealed row that refers to it: neither stands without the other. */
export async function insertSealedRecord(
  tx: UserTransaction,
  userId: UserId,
  record: AuditedRecord & { readonly runId: string; readonly sealed: Buffer },
): Promise<void> {
  await tx`
    with audited as (
      insert into mana_ai.decrypt_audit (user_id, mission_id, iteration_id, table_name, record_id, status)
      values (${userId}, ${record.missionId}, ${record.iterationId}, ${record.table}, ${record.recordId}, 'ok')
      returning id
    )
    insert into mana_ai.sealed_inputs (user_id, run_id, table_name, record_id, mission_id, sealed, audit_id)
    select ${userId}, ${record.runId}, ${record.table}, ${record.recordId}, ${record.missionId}, ${record.sealed}, id
    from audited`;
}

/** Writes why a record was not opened; `reason` names fields or scope, never content. */
export async function insertRefusal(
  tx: UserTransaction,
  userId: UserId,
  record: AuditedRecord & { readonly status: 'failed' | 'scope-violation'; readonly reason: string },
): Promise<void> {
  await tx`
    insert into mana_ai.decrypt_audit (user_id, mission_id, iteration_id, table_name, record_id, status, reason)
    values (${userId}, ${record.missionId}, ${record.iterationId}, ${record.table}, ${record.recordId},
      ${record.status}, ${record.reason})`;
}

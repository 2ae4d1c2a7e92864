import type { UserTransaction } from './client.ts';
import type { UserId } from '../domain/ids.ts';

/** A row of the decrypt audit as its user sees it (contract section 8). */
export interface DecryptAuditRow {
  /** A bigint; as text, because JSON numbers end at 2^53. */
  readonly id: string;
  readonly missionId: string;
  readonly iterationId: string | null;
  readonly tableName: string;
  readonly recordId: string;
  readonly status: 'ok' | 'failed' | 'scope-violation';
  readonly reason: string | null;
  readonly ts: Date;
}

/** The user's rows, newest first, of one mission or of all. */
export async function listDecryptAudit(
  tx: UserTransaction,
  userId: UserId,
  filter: { readonly missionId: string | null; readonly limit: number },
): Promise<DecryptAuditRow[]> {
  return tx<DecryptAuditRow[]>`
    select id::text as id, mission_id as "missionId", iteration_id as "iterationId", table_name as "tableName",
      record_id as "recordId", status, reason, ts
    from mana_ai.decrypt_audit
    where user_id = ${userId} ${filter.missionId === null ? tx`` : tx`and mission_id = ${filter.missionId}`}
    order by mana_ai.decrypt_audit.id desc
    limit ${filter.limit}`;
}

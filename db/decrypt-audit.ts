import type { UserTransaction } from './client.ts';
import { sql } from './sql.ts';

/** A row of the decrypt audit as its user sees it (docs/platform.md section 8). */
export interface DecryptAuditRow {
  /** A bigint; as text, because JSON numbers end at 2^53. */
  readonly id: string;
  readonly missionId: string;
  readonly iterationId: string | null;
  readonly tableName: string;
  readonly recordId: string;
  readonly status: 'ok' | 'failed' | 'scope-violation';
  readonly reason: string | null;
  /** `YYYY-MM-DDTHH:MM:SS.mmmZ`; made by the database, which knows years that a Date does not. */
  readonly ts: string;
}

export interface DecryptAuditPage {
  readonly rows: readonly DecryptAuditRow[];
  /** Where the next page begins, or null if this is the last one. */
  readonly nextBeforeSeq: bigint | null;
}

/**
 * The user's rows, newest first, of one mission or of all. The order is that of the chain: a row gets its `seq` under the
 * user's lock and so in the order of commits, while an id that was taken early may become visible late. Between two pages
 * no row can appear that belongs on the first.
 *
 * @param filter.beforeSeq only rows before this one; null for the first page
 */
export async function listDecryptAudit(
  tx: UserTransaction,
  filter: { readonly missionId: string | null; readonly limit: number; readonly beforeSeq: bigint | null },
): Promise<DecryptAuditPage> {
  const found = await tx<{ seq: string; row: DecryptAuditRow }[]>`
    select rows.seq::text as seq, json_build_object(
      'id', id::text, 'missionId', mission_id, 'iterationId', iteration_id, 'tableName', table_name,
      'recordId', record_id, 'status', status, 'reason', reason,
      'ts', to_char(ts at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) as row
    from mana_ai.decrypt_audit rows
    where user_id = ${tx.userId}
      ${filter.missionId === null ? sql`` : sql`and mission_id = ${filter.missionId}`}
      ${filter.beforeSeq === null ? sql`` : sql`and rows.seq < ${String(filter.beforeSeq)}::bigint`}
    order by rows.seq desc
    limit ${filter.limit + 1}`;
  const page = found.slice(0, filter.limit);
  const last = found.length > filter.limit ? page.at(-1) : undefined;
  return {
    rows: page.map(({ row }) => row),
    nextBeforeSeq: last === undefined ? null : BigInt(last.seq),
  };
}

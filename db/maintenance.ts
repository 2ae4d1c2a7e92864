import type { AuditHead } from './audit-chain.ts';
import type { SystemSql } from './client.ts';
import type { Transaction } from './transaction.ts';

/**
 * What the operator's commands change, under the role `mana_missions_maintenance`. The audit itself is deleted by
 * functions of its owner only; they set the user, hold the chain's lock and refuse what would leave a hole.
 */

/**
 * Whether the connection's user has the rights of the maintenance role. Others would see no rows, and no rows look fine.
 */
export async function isMaintenanceUser(tx: SystemSql): Promise<boolean> {
  const [row] = await tx<{ isMember: boolean }[]>`
    select pg_has_role(current_user, 'mana_missions_maintenance', 'usage') as "isMember"`;
  return row?.isMember === true;
}

/** Gives the rest of the transaction one view of the database, so that pruning elsewhere looks like no gap. */
export async function readOneSnapshot(tx: Transaction): Promise<void> {
  await tx`set transaction isolation level repeatable read, read only`;
}

/**
 * Locks a user's chain until the transaction ends and says how far it may be pruned: to the last row before the first
 * one that is younger than `olderThanIso` or needed by a run under way. Null: nothing may be.
 */
export async function readPrunable(
  tx: Transaction,
  userId: string,
  olderThanIso: string,
): Promise<AuditHead | null> {
  const [row] = await tx<{ seq: string; hash: Buffer }[]>`
    select seq::text as seq, hash from mana_ai.audit_prunable(${userId}, ${olderThanIso}::text::timestamptz)`;
  return row === undefined ? null : { seq: BigInt(row.seq), hash: row.hash };
}

/** Deletes a chain up to a row and leaves the signed checkpoint. @returns how many rows went */
export async function pruneAudit(
  tx: Transaction,
  userId: string,
  olderThanIso: string,
  checkpoint: AuditHead & { readonly keyId: string; readonly signature: Buffer },
): Promise<number> {
  const [row] = await tx<{ pruned: string }[]>`
    select mana_ai.prune_decrypt_audit(${userId}, ${olderThanIso}::text::timestamptz,
      ${String(checkpoint.seq)}::bigint, ${checkpoint.hash}, ${checkpoint.keyId}, ${checkpoint.signature}) as pruned`;
  return Number(row?.pruned ?? 0);
}

/** Deletes a user's audit and checkpoints, and the sealed rows that refer to it. @returns how many audit rows went */
export async function eraseAudit(tx: Transaction, userId: string): Promise<number> {
  const [row] = await tx<{ erased: string }[]>`select mana_ai.erase_decrypt_audit(${userId}) as erased`;
  return Number(row?.erased ?? 0);
}

/**
 * Deletes mint-log rows of v2 grants that expired before an instant. Row-level security keeps those of the last 30 days
 * and all v1 grants out of reach.
 */
export async function deleteExpiredGrants(tx: SystemSql, expiredBeforeIso: string): Promise<number> {
  const [row] = await tx<{ deleted: number }[]>`
    with deleted as (
      delete from mana_ai.mission_grants
      where version = 'v2' and expires_at < ${expiredBeforeIso}::text::timestamptz returning 1
    )
    select count(*)::float8 as deleted from deleted`;
  return row?.deleted ?? 0;
}

/** Grants that can still be used, by the key that opens them; null: another service's, which noted none. */
export interface LiveGrants {
  readonly keyId: string | null;
  readonly grants: number;
  readonly lastExpiresAt: Date;
}

export const readLiveGrants = (tx: SystemSql): Promise<LiveGrants[]> =>
  tx<LiveGrants[]>`
    select key_id as "keyId", grants::float8 as grants, last_expires_at as "lastExpiresAt"
    from mana_ai.live_grants_by_key()`;

import type { SystemSql, UserTransaction } from './client.ts';
import { sql, type Fragment } from './sql.ts';
import type { AuditRow } from '#domain/wire/rows.ts';

/**
 * The chains of the decrypt audit, as the maintenance role reads them: across users, never content. How they are made
 * is in migrations/mana_ai/000006_audit_chain.sql, what they prove in docs/audit.md.
 */

/** A row as it is stored, with the hash that the trigger gave it. */
export interface ChainedAuditRow extends AuditRow {
  readonly hash: Buffer;
}

/** Sequence number and hash of the last row of a chain; 0 and zeros when it has none. */
export interface AuditHead {
  readonly seq: bigint;
  /** 32 bytes. */
  readonly hash: Buffer;
}

export interface StoredCheckpoint extends AuditHead {
  readonly userId: string;
  readonly keyId: string;
  readonly signature: Buffer;
}

/** The driver gives bigint as text, because a JSON number could not hold it. */
type AsStored<Row> = { readonly [Key in keyof Row]: Row[Key] extends bigint ? string : Row[Key] };

/** The head of the caller's own chain. */
export async function readOwnAuditHead(tx: UserTransaction): Promise<AuditHead> {
  return readAuditHead(tx, tx.userId);
}

/** The head of anybody's chain, for the maintenance role. */
export async function readAuditHead(tx: SystemSql, userId: string): Promise<AuditHead> {
  const [head] = await tx<AsStored<AuditHead>[]>`
    select seq::text as seq, hash from mana_ai.audit_head(${userId})`;
  if (head === undefined) throw new Error('the database returned no audit head');
  return { ...head, seq: BigInt(head.seq) };
}

/**
 * The first user after `afterUserId` who has a chain, or null. Asked again and again it lists all of them without ever
 * holding the list.
 */
export async function nextAuditedUser(tx: SystemSql, afterUserId: string | null): Promise<string | null> {
  // No user id is empty.
  const after = afterUserId ?? '';
  const [row] = await tx<{ userId: string | null }[]>`
    select min(user_id) as "userId" from (
      (select user_id from mana_ai.decrypt_audit where user_id > ${after} order by user_id limit 1)
      union all
      (select user_id from mana_ai.audit_checkpoints where user_id > ${after} order by user_id limit 1)
    ) as next`;
  return row?.userId ?? null;
}

/** Heads of chains by user, of the users after `afterUserId`; an empty page is the end. */
export async function readAuditHeads(
  tx: SystemSql,
  afterUserId: string | null,
  limit: number,
): Promise<(AuditHead & { readonly userId: string })[]> {
  const next = (after: Fragment) => sql`(select min(user_id) from (
    (select user_id from mana_ai.decrypt_audit where user_id > ${after} order by user_id limit 1)
    union all
    (select user_id from mana_ai.audit_checkpoints where user_id > ${after} order by user_id limit 1)
  ) as next)`;
  // From user to user by the index: the rows between are not read.
  const rows = await tx<{ userId: string; seq: string; hash: Buffer }[]>`
    with recursive users (user_id, position) as (
      select ${next(sql`${afterUserId ?? ''}`)}, 1
      union all
      select ${next(sql`users.user_id`)}, position + 1 from users where user_id is not null and position < ${limit}
    )
    select user_id as "userId", head.seq::text as seq, head.hash
    from users cross join lateral mana_ai.audit_head(user_id) as head
    where user_id is not null order by position`;
  return rows.map((row) => ({ ...row, seq: BigInt(row.seq) }));
}

/** Whether the heads were last logged a day ago or more; then nobody else logs them until the transaction ends. */
export async function lockDueAuditHeads(tx: SystemSql): Promise<boolean> {
  const rows = await tx`
    select 1 from mana_ai.projection_cursor
    where audit_heads_logged_at <= clock_timestamp() - interval '1 day' for update skip locked`;
  return rows.length > 0;
}

export async function markAuditHeadsLogged(tx: SystemSql): Promise<void> {
  await tx`update mana_ai.projection_cursor set audit_heads_logged_at = clock_timestamp()`;
}

/** Rows of a user's chain after a sequence number, in its order; also those that stand in no proper place. */
export async function readChainPage(
  tx: SystemSql,
  userId: string,
  after: { readonly seq: bigint; readonly id: bigint } | null,
  limit: number,
): Promise<ChainedAuditRow[]> {
  const rows = await tx<AsStored<ChainedAuditRow>[]>`
    select seq::text as seq, hash, id::text as id, user_id as "userId", mission_id as "missionId",
      iteration_id as "iterationId", table_name as "tableName", record_id as "recordId", status, reason,
      (extract(epoch from ts) * 1000000)::bigint::text as "tsMicros"
    from mana_ai.decrypt_audit rows
    where user_id = ${userId}
      ${after === null ? sql`` : sql`and (rows.seq, rows.id) > (${String(after.seq)}::bigint, ${String(after.id)}::bigint)`}
    order by rows.seq, rows.id limit ${limit}`;
  return rows.map((row) => ({
    ...row,
    seq: BigInt(row.seq),
    id: BigInt(row.id),
    tsMicros: BigInt(row.tsMicros),
  }));
}

/** A user's checkpoints, the oldest first. */
export async function readCheckpoints(tx: SystemSql, userId: string): Promise<StoredCheckpoint[]> {
  const rows = await tx<AsStored<StoredCheckpoint>[]>`
    select user_id as "userId", seq::text as seq, hash, key_id as "keyId", signature
    from mana_ai.audit_checkpoints checkpoints where user_id = ${userId} order by checkpoints.seq`;
  return rows.map((row) => ({ ...row, seq: BigInt(row.seq) }));
}

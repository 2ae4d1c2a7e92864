import type { UserTransaction } from './client.ts';
import { sql, type Fragment } from './sql.ts';
import { clockMs } from './sync-changes.ts';

/** A row of the mint log as a run sees it. */
export interface LoggedGrant {
  readonly missionId: string;
  readonly version: string;
  /** `foreign`: another service minted it, and we entered it at its first use. */
  readonly origin: 'minted' | 'foreign';
  readonly tables: readonly string[];
  readonly recordIds: readonly string[];
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
  readonly revoked: boolean;
  readonly firstUsed: boolean;
  readonly pinnedAgentId: string | null;
}

const epochMs = (column: Fragment) => sql`floor(extract(epoch from ${column}) * 1000)::float8`;

/** Finds a grant by the SHA-256 of its `wrappedKey`; null when this user never got it from us. */
export async function findGrant(tx: UserTransaction, wrappedKeySha256: Buffer): Promise<LoggedGrant | null> {
  const [row] = await tx<LoggedGrant[]>`
    select mission_id as "missionId", version, origin, tables, record_ids as "recordIds",
      ${epochMs(sql`issued_at`)} as "issuedAtMs", ${epochMs(sql`expires_at`)} as "expiresAtMs",
      revoked_at is not null as revoked, first_used_at is not null as "firstUsed",
      pinned_agent_id as "pinnedAgentId"
    from mana_ai.mission_grants
    where user_id = ${tx.userId} and wrapped_key_sha256 = ${wrappedKeySha256}`;
  return row ?? null;
}

/** Enters a v1 grant that another service minted, at its first use (docs/architecture.md section 2). */
export async function enterForeignGrant(
  tx: UserTransaction,
  grant: {
    readonly wrappedKeySha256: Buffer;
    readonly missionId: string;
    readonly tables: readonly string[];
    readonly recordIds: readonly string[];
    readonly issuedAtMs: number;
    readonly expiresAtMs: number;
  },
): Promise<void> {
  await tx`
    insert into mana_ai.mission_grants
      (user_id, wrapped_key_sha256, mission_id, version, tables, record_ids, origin, issued_at, expires_at)
    values
      (${tx.userId}, ${grant.wrappedKeySha256}, ${grant.missionId}, 'v1', ${[...grant.tables]}::text[],
       ${[...grant.recordIds]}::text[], 'foreign', to_timestamp(${grant.issuedAtMs}::float8 / 1000),
       to_timestamp(${grant.expiresAtMs}::float8 / 1000))
    on conflict (user_id, wrapped_key_sha256) do nothing`;
}

/** Pins the agent that the mission names at the grant's first use; later ones are not in its scope. */
export function pinAgent(tx: UserTransaction, wrappedKeySha256: Buffer, agentId: string | null): void {
  tx.ahead`
    update mana_ai.mission_grants set first_used_at = clock_timestamp(), pinned_agent_id = ${agentId}
    where user_id = ${tx.userId} and wrapped_key_sha256 = ${wrappedKeySha256} and first_used_at is null`;
}

/** Revokes what was issued for a mission before an instant; what is revoked already stays as it is. */
export async function revokeGrantsIssuedBefore(
  tx: UserTransaction,
  missionId: string,
  issuedBeforeMs: number,
): Promise<number> {
  const rows = await tx`
    update mana_ai.mission_grants set revoked_at = clock_timestamp()
    where user_id = ${tx.userId} and mission_id = ${missionId} and revoked_at is null
      and issued_at < to_timestamp(${issuedBeforeMs}::float8 / 1000)
    returning 1`;
  return rows.length;
}

/**
 * When the user last revoked all grants of a mission through the API, in milliseconds since the epoch; null for never.
 * Grants of the mint log carry their own revocation: this one is for a grant that is not in there yet.
 */
export async function lastMissionRevocationMs(
  tx: UserTransaction,
  missionId: string,
): Promise<number | null> {
  const [row] = await tx<{ revokedAtMs: number }[]>`
    select ${epochMs(sql`revoked_at`)} as "revokedAtMs" from mana_ai.mission_revocations
    where user_id = ${tx.userId} and mission_id = ${missionId}`;
  return row?.revokedAtMs ?? null;
}

/**
 * What a planner round re-reads before it opens anything: a grant can end while its run is under way.
 *
 * @returns the database's clock, see `readClockMs`, where it has not
 */
export async function grantEnd(
  tx: UserTransaction,
  wrappedKeySha256: Buffer,
): Promise<'revoked' | 'expired' | 'unknown' | { readonly nowMs: number }> {
  const [row] = await tx<{ revoked: boolean; expired: boolean; nowMs: number }[]>`
    select revoked_at is not null as revoked, expires_at <= clock_timestamp() as expired, ${clockMs} as "nowMs"
    from mana_ai.mission_grants
    where user_id = ${tx.userId} and wrapped_key_sha256 = ${wrappedKeySha256}`;
  if (row === undefined) return 'unknown';
  if (row.revoked) return 'revoked';
  return row.expired ? 'expired' : { nowMs: row.nowMs };
}

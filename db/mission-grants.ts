import type { UserTransaction } from './client.ts';
import type { GrantVersion } from '#domain/wire/grant.ts';
import type { MissionId } from '#domain/base/ids.ts';

/** A grant that we mint; the mint log never holds a key. */
export interface MintLogEntry {
  /** SHA-256 over the text of `wrappedKey`, 32 bytes. */
  readonly wrappedKeySha256: Buffer;
  readonly missionId: MissionId;
  readonly version: GrantVersion;
  readonly tables: readonly string[];
  /** `"<table>:<id>"` */
  readonly recordIds: readonly string[];
  /** Which public key wraps it, see `publicKeyId`. */
  readonly keyId: string;
  readonly issuedAtIso: string;
  readonly expiresAtIso: string;
}

/** Enters a grant into the mint log. Call it under the mission's lock. */
export async function enterMintedGrant(tx: UserTransaction, grant: MintLogEntry): Promise<void> {
  await tx`
    insert into mana_ai.mission_grants
      (user_id, wrapped_key_sha256, mission_id, version, tables, record_ids, key_id, origin, issued_at, expires_at)
    values
      (${tx.userId}, ${grant.wrappedKeySha256}, ${grant.missionId}, ${grant.version}, ${[...grant.tables]}::text[],
       ${[...grant.recordIds]}::text[], ${grant.keyId}, 'minted', ${grant.issuedAtIso}::timestamptz,
       ${grant.expiresAtIso}::timestamptz)`;
}

/**
 * Revokes whatever was issued for a mission until now, and deletes what was sealed under it. Call it under the
 * mission's lock: then no seal and no round sees it half-done.
 *
 * @returns how many grants of the mint log it ended
 */
export async function revokeMissionGrants(tx: UserTransaction, missionId: MissionId): Promise<number> {
  // For grants that are in no log yet; see migration 000005.
  await tx`
    insert into mana_ai.mission_revocations (user_id, mission_id) values (${tx.userId}, ${missionId})
    on conflict (user_id, mission_id) do update set revoked_at = clock_timestamp()`;
  const ended = await tx`
    update mana_ai.mission_grants set revoked_at = clock_timestamp()
    where user_id = ${tx.userId} and mission_id = ${missionId} and revoked_at is null
    returning 1`;
  await tx`delete from mana_ai.sealed_inputs where user_id = ${tx.userId} and mission_id = ${missionId}`;
  return ended.length;
}

/** What the user may know of a mission's grant. */
export interface GrantOverview {
  readonly tables: string[];
  readonly recordIds: string[];
  readonly issuedAt: Date;
  readonly expiresAt: Date;
  readonly revoked: boolean;
  readonly expired: boolean;
  /** Null while the mission has no next run that we know of. */
  readonly expiresBeforeNextRun: boolean | null;
}

/**
 * The mission's grant: the latest of those that still open something, else the latest of all, null for none. The
 * database's clock decides, as it does when a round asks whether the grant has ended.
 */
export async function findLatestGrant(
  tx: UserTransaction,
  missionId: MissionId,
): Promise<GrantOverview | null> {
  const [row] = await tx<GrantOverview[]>`
    select tables, record_ids as "recordIds", issued_at as "issuedAt", expires_at as "expiresAt",
      revoked_at is not null as revoked, expires_at <= clock_timestamp() as expired,
      (select expires_at <= next_run_at from mana_ai.mission_snapshots snapshots
       where snapshots.user_id = grants.user_id and snapshots.mission_id = grants.mission_id
         and exists_now and state = 'active') as "expiresBeforeNextRun"
    from mana_ai.mission_grants grants
    where user_id = ${tx.userId} and mission_id = ${missionId}
    order by revoked_at is null and expires_at > clock_timestamp() desc, issued_at desc, created_at desc
    limit 1`;
  return row ?? null;
}

import type { UserTransaction } from './client.ts';
import type { GrantVersion } from '../domain/grant.ts';
import type { MissionId, UserId } from '../domain/ids.ts';

/** A grant that we mint; the mint log never holds a key. */
export interface MintLogEntry {
  /** SHA-256 over the text of `wrappedKey`, 32 bytes. */
  readonly wrappedKeySha256: Buffer;
  readonly missionId: MissionId;
  readonly version: GrantVersion;
  readonly tables: readonly string[];
  /** `"<table>:<id>"` */
  readonly recordIds: readonly string[];
  /** Which public key wraps it, see `grantKeyId`. */
  readonly keyId: string;
  readonly issuedAtIso: string;
  readonly expiresAtIso: string;
}

/** Enters a grant into the mint log. Call it under the mission's lock. */
export async function enterMintedGrant(
  tx: UserTransaction,
  userId: UserId,
  grant: MintLogEntry,
): Promise<void> {
  await tx`
    insert into mana_ai.mission_grants
      (user_id, wrapped_key_sha256, mission_id, version, tables, record_ids, key_id, origin, issued_at, expires_at)
    values
      (${userId}, ${grant.wrappedKeySha256}, ${grant.missionId}, ${grant.version}, ${[...grant.tables]}::text[],
       ${[...grant.recordIds]}::text[], ${grant.keyId}, 'minted', ${grant.issuedAtIso}::timestamptz,
       ${grant.expiresAtIso}::timestamptz)`;
}

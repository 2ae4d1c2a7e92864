import type { KeyObject } from 'node:crypto';
import type { FastifyBaseLogger } from 'fastify';
import { withSecret } from '#crypto/key-bytes.ts';
import { mintGrant, type MintedGrant } from '#crypto/wrap-grant.ts';
import type { Database, UserTransaction } from '#db/client.ts';
import { enterMintedGrant } from '#db/mission-grants.ts';
import { lockMission } from '#db/mission-lock.ts';
import { saveTimeZone } from '#db/time-zones.ts';
import { GrantNotConfiguredError, MissionError } from '#domain/base/errors.ts';
import { clampTtlMs, type Grant, type GrantVersion } from '#domain/wire/grant.ts';
import { toMissionId, type UserId } from '#domain/base/ids.ts';
import { countMinted } from '#metrics/grants.ts';
import { openVault, type VaultAccessor } from '#vault/open-vault.ts';
import type { MissionGrantRequest } from './schemas/mission-grant.ts';

export interface MintDependencies extends VaultAccessor {
  readonly syncDatabase: Database;
  /** The runner's; null: grants are off. */
  readonly grantPublicKey: KeyObject | null;
  readonly grantMintVersion: GrantVersion;
  /** The clock that a grant is issued by and later ends by: the database's, in milliseconds since the epoch. */
  readonly readClock: (tx: UserTransaction) => Promise<number>;
}

/** Who asks, also for the audit row. */
export interface MintCaller {
  readonly userId: UserId;
  readonly ipAddress: string;
  readonly userAgent: string | null;
  readonly log: FastifyBaseLogger;
}

/**
 * Mints a grant (docs/platform.md section 7). Only shape and vault are checked: the web app asks before it pushes the mission,
 * so neither mission nor records need to exist yet.
 *
 * @throws GrantNotConfiguredError before anything is read; else what `openVault` throws
 */
export async function mintMissionGrant(
  dependencies: MintDependencies,
  caller: MintCaller,
  request: MissionGrantRequest,
): Promise<Grant> {
  const { keks, grantPublicKey } = dependencies;
  if (grantPublicKey === null || (keks.default === null && keks.byId.size === 0))
    throw new GrantNotConfiguredError();

  const issuedAtMs = await dependencies.syncDatabase.asUser(caller.userId, dependencies.readClock);
  const masterKey = await openVaultFor(dependencies, caller, request.missionId);
  const minted = withSecret(masterKey, () =>
    mintGrant({
      version: dependencies.grantMintVersion,
      masterKey,
      userId: caller.userId,
      missionId: toMissionId(request.missionId),
      tables: request.tables,
      recordIds: request.recordIds,
      issuedAtMs,
      ttlMs: clampTtlMs(request.ttlMs),
      publicKey: grantPublicKey,
    }),
  );
  await enter(dependencies.syncDatabase, caller.userId, minted, request.timeZone ?? null);
  countMinted(minted.grant.derivation.version);
  caller.log.info(
    {
      userId: caller.userId,
      missionId: request.missionId,
      keyId: minted.keyId,
      recordIds: request.recordIds.length,
    },
    'grant minted',
  );
  return minted.grant;
}

const MAX_USER_AGENT_LENGTH = 500;

async function openVaultFor(vault: VaultAccessor, caller: MintCaller, missionId: string): Promise<Buffer> {
  const { userId, ipAddress, userAgent, log } = caller;
  try {
    return await openVault(vault, userId, {
      action: 'ai-mission-grant',
      context: `mission ${missionId}`,
      ipAddress,
      userAgent: userAgent?.slice(0, MAX_USER_AGENT_LENGTH) ?? null,
    });
  } catch (error) {
    // The audit table refers to auth.users: of a user who is missing there, this line is all that stays.
    if (error instanceof MissionError) log.warn({ userId, code: error.code }, 'vault not opened');
    throw error;
  }
}

/** A grant that is not in the mint log would open nothing, so this comes before the answer. */
async function enter(
  syncDatabase: Database,
  userId: UserId,
  minted: MintedGrant,
  timeZone: string | null,
): Promise<void> {
  const { derivation, issuedAt, expiresAt } = minted.grant;
  const missionId = toMissionId(derivation.missionId);
  await syncDatabase.asUser(userId, async (tx) => {
    lockMission(tx, missionId);
    await enterMintedGrant(tx, {
      wrappedKeySha256: minted.wrappedKeySha256,
      missionId,
      version: derivation.version,
      tables: derivation.tables,
      recordIds: derivation.recordIds,
      keyId: minted.keyId,
      issuedAtIso: issuedAt,
      expiresAtIso: expiresAt,
    });
    if (timeZone !== null) await saveTimeZone(tx, missionId, timeZone);
  });
}

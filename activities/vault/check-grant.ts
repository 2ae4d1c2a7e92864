import { sha256OfWrappedKey } from '#crypto/wrap-grant.ts';
import type { UserTransaction } from '#db/client.ts';
import {
  enterForeignGrant,
  findGrant,
  lastMissionRevocationMs,
  pinAgent,
  revokeGrantsIssuedBefore,
  type LoggedGrant,
} from '#db/grant-use.ts';
import type { ReadMission } from '#db/missions.ts';
import type { GrantProblem } from '#domain/base/errors.ts';
import { GRANT_TTL_MAX_MS, parseGrant, scopeKey, type Grant } from '#domain/wire/grant.ts';
import { lastRevocationMs } from '#domain/grant/grant-revocation.ts';
import { instantMs } from '#domain/base/instant.ts';

export type CheckedGrant =
  | { readonly ok: true; readonly grant: Grant; readonly pinnedAgentId: string | null }
  | { readonly ok: false; readonly problem: GrantProblem };

const refuse = (problem: GrantProblem): CheckedGrant => ({ ok: false, problem });

/**
 * Finds the mission's grant in the mint log: this grant, of this user, with this scope, not revoked, not expired
 * (docs/architecture.md section 2). What a record claims counts for nothing that the log does not confirm. Call it under the
 * mission's lock, in the transaction that seals.
 */
export async function checkGrant(
  tx: UserTransaction,
  read: ReadMission,
  options: { readonly acceptV1: boolean; readonly nowMs: number },
): Promise<CheckedGrant> {
  if (read.mission.grant === null) return refuse('absent');
  const grant = parseGrant(read.mission.grant);
  if (grant === null) return refuse('malformed');
  const issuedAtMs = instantMs(grant.issuedAt);
  const expiresAtMs = instantMs(grant.expiresAt);
  if (expiresAtMs === null || expiresAtMs <= options.nowMs) return refuse('expired');
  if (issuedAtMs === null) return refuse('malformed');
  if (grant.derivation.version === 'v1' && !options.acceptV1) return refuse('unknown');

  const revokedMs = lastRevocationMs(read.rows);
  if (revokedMs !== null) await revokeGrantsIssuedBefore(tx, read.mission.id, revokedMs);
  if (revokedMs !== null && issuedAtMs < revokedMs) return refuse('revoked');

  const hash = sha256OfWrappedKey(grant.wrappedKey);
  const logged = await findGrant(tx, hash);
  if (logged === null) {
    if (grant.derivation.version !== 'v1' || grant.derivation.missionId !== read.mission.id)
      return refuse('unknown');
    const missionRevokedMs = await lastMissionRevocationMs(tx, read.mission.id);
    if (missionRevokedMs !== null && issuedAtMs <= missionRevokedMs) return refuse('revoked');
    // Nothing vouches for the times of a v1 grant: an issue in the future must not buy more than 30 days from now.
    const foreignExpiryMs = Math.min(expiresAtMs, Math.min(issuedAtMs, options.nowMs) + GRANT_TTL_MAX_MS);
    if (foreignExpiryMs <= options.nowMs) return refuse('expired');
    await enterForeignGrant(tx, {
      wrappedKeySha256: hash,
      missionId: read.mission.id,
      tables: grant.derivation.tables,
      recordIds: grant.derivation.recordIds,
      issuedAtMs,
      expiresAtMs: foreignExpiryMs,
    });
  } else {
    if (!confirms(logged, grant, read.mission.id, { issuedAtMs, expiresAtMs })) return refuse('unknown');
    if (logged.revoked) return refuse('revoked');
    if (logged.expiresAtMs <= options.nowMs) return refuse('expired');
  }
  if (logged?.firstUsed === true) return { ok: true, grant, pinnedAgentId: logged.pinnedAgentId };
  pinAgent(tx, hash, read.mission.agentId);
  return { ok: true, grant, pinnedAgentId: read.mission.agentId };
}

/** A minted grant says exactly what the log says; a foreign one may claim a later expiry than the log allows it. */
function confirms(
  logged: LoggedGrant,
  grant: Grant,
  missionId: string,
  times: { readonly issuedAtMs: number; readonly expiresAtMs: number },
): boolean {
  const { derivation } = grant;
  const expiryAgrees =
    logged.origin === 'foreign'
      ? logged.expiresAtMs <= times.expiresAtMs
      : logged.expiresAtMs === times.expiresAtMs;
  return (
    logged.missionId === missionId &&
    derivation.missionId === missionId &&
    scopeKey(derivation) === scopeKey({ ...derivation, ...sameScope(logged) }) &&
    logged.version === derivation.version &&
    logged.issuedAtMs === times.issuedAtMs &&
    expiryAgrees
  );
}

const sameScope = (logged: LoggedGrant): { tables: string[]; recordIds: string[] } => ({
  tables: [...logged.tables],
  recordIds: [...logged.recordIds],
});

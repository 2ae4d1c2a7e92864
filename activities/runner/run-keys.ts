import type { RunnerDependencies } from './dependencies.ts';
import { withSecret } from '#crypto/key-bytes.ts';
import { createRunKey, unwrapRunKey, wrapRunKey } from '#crypto/run-key.ts';
import { unwrapGrant } from '#crypto/unwrap-grant.ts';
import { sha256OfWrappedKey } from '#crypto/wrap-grant.ts';
import type { UserTransaction } from '#db/client.ts';
import { grantEnd } from '#db/grant-use.ts';
import type { ReadMission } from '#db/missions.ts';
import { hasCalls } from '#db/model-calls.ts';
import { insertRunKey, readRunKey, replaceRunKey } from '#db/run-storage.ts';
import { GrantUnusableError, RunKeyLostError, type GrantProblem } from '#domain/base/errors.ts';
import { parseGrant } from '#domain/wire/grant.ts';
import { lastRevocationMs } from '#domain/grant/grant-revocation.ts';
import { instantMs } from '#domain/base/instant.ts';
import type { RunRef } from '#domain/run/run.ts';
import { countUnwrapFailure } from '#metrics/grants.ts';

/**
 * Unwraps the mission data key, after reading in this very transaction whether the run's grant has ended meanwhile: in the
 * mint log, or by a revocation in the record that no projection has entered there yet.
 *
 * @returns 32 bytes, to be overwritten by the caller
 * @throws GrantUnusableError when the grant was revoked, has expired or no longer unwraps
 */
export async function missionDataKey(
  deps: RunnerDependencies,
  tx: UserTransaction,
  { mission, rows }: Pick<ReadMission, 'mission' | 'rows'>,
): Promise<Buffer> {
  if (mission.grant === null) throw unusable('revoked');
  const grant = parseGrant(mission.grant);
  if (grant === null) throw unusable('malformed');
  const revokedMs = lastRevocationMs(rows);
  if (revokedMs !== null && (instantMs(grant.issuedAt) ?? -Infinity) < revokedMs) throw unusable('revoked');
  const found = await grantEnd(tx, sha256OfWrappedKey(grant.wrappedKey));
  if (typeof found === 'string') throw unusable(found);
  const unwrapped = unwrapGrant({
    privateKeys: deps.privateKeys,
    userId: tx.userId,
    grant,
    nowMs: found.nowMs,
  });
  if (!unwrapped.ok) throw unusable(unwrapped.reason);
  return unwrapped.mdk;
}

function unusable(problem: GrantProblem): GrantUnusableError {
  countUnwrapFailure(problem);
  return new GrantUnusableError(problem);
}

/**
 * The key of a run without a grant, made at its first round. Of any number of attempts at once all get the same: a key is
 * stored only where there is none, and what stands there afterwards is the run's.
 *
 * @returns 32 bytes, to be overwritten by the caller
 * @throws RunKeyLostError when replies are kept under a key that no codec key of this process unwraps; another may
 */
export async function ensureRunKey(
  deps: RunnerDependencies,
  tx: UserTransaction,
  run: RunRef,
): Promise<Buffer> {
  const { primaryKeyId, keys } = deps.codecKeys;
  const context = { userId: tx.userId, iterationId: run.iterationId };
  const primary = keys.get(primaryKeyId);
  if (primary === undefined) throw new Error('the primary codec key is not among the codec keys');
  const wrapNew = (): Buffer =>
    withSecret(createRunKey(), (created) => wrapRunKey({ id: primaryKeyId, key: primary }, context, created));

  let stored = await readRunKey(tx, run.iterationId);
  if (stored === null) {
    const { iterationId, missionId } = run;
    await insertRunKey(tx, { iterationId, missionId, wrappedKey: wrapNew() });
    stored = await readRunKey(tx, iterationId);
  }
  if (stored === null) throw new Error('the key of the run was deleted while it was made');
  const known = unwrapRunKey(keys, context, stored);
  if (known !== null) return known;

  // A key wrapped under a codec key that is gone opens nothing any more. As long as it has encrypted nothing, that is no loss.
  if (await hasCalls(tx, run.iterationId)) throw new RunKeyLostError();
  await replaceRunKey(tx, run.iterationId, { from: stored, to: wrapNew() });
  const replaced = await readRunKey(tx, run.iterationId);
  const key = replaced === null ? null : unwrapRunKey(keys, context, replaced);
  if (key === null) throw new RunKeyLostError();
  return key;
}

/**
 * The key of a run without a grant, where there is one: what writes back makes none, for nobody might forget it.
 *
 * @returns 32 bytes, to be overwritten by the caller
 * @throws RunKeyLostError when there is none (any more), or no codec key of this process unwraps it
 */
export async function standingRunKey(
  deps: RunnerDependencies,
  tx: UserTransaction,
  run: RunRef,
): Promise<Buffer> {
  const stored = await readRunKey(tx, run.iterationId);
  const context = { userId: tx.userId, iterationId: run.iterationId };
  const key = stored === null ? null : unwrapRunKey(deps.codecKeys.keys, context, stored);
  if (key === null) throw new RunKeyLostError();
  return key;
}

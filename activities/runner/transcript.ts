import type { RunnerDependencies } from './dependencies.ts';
import { createRunKey, unwrapRunKey, wrapRunKey } from '../../crypto/run-key.ts';
import { decryptTranscriptEntry, encryptTranscriptEntry } from '../../crypto/transcript.ts';
import { unwrapGrant } from '../../crypto/unwrap-grant.ts';
import { sha256OfWrappedKey } from '../../crypto/wrap-grant.ts';
import type { UserTransaction } from '../../db/client.ts';
import { grantEnd } from '../../db/grant-use.ts';
import type { ReadMission } from '../../db/missions.ts';
import {
  deleteRunKey,
  deleteTranscriptFrom,
  readRunKey,
  readTranscript,
  storeRunKey,
  storeTranscriptEntry,
} from '../../db/run-storage.ts';
import { GrantUnusableError } from '../../domain/errors.ts';
import type { GrantProblem } from '../../domain/errors.ts';
import { parseGrant } from '../../domain/grant.ts';
import { lastRevocationMs } from '../../domain/grant-revocation.ts';
import { toIterationId, toMissionId } from '../../domain/ids.ts';
import type { UserId } from '../../domain/ids.ts';
import { instantMs } from '../../domain/instant.ts';
import { roundEntrySchema } from '../../domain/round-entry.ts';
import type { RoundEntry } from '../../domain/round-entry.ts';
import type { RunRef } from '../../domain/run.ts';
import { countUnwrapFailure } from '../../metrics/grants.ts';

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
  userId: UserId,
  { mission, rows }: Pick<ReadMission, 'mission' | 'rows'>,
): Promise<Buffer> {
  if (mission.grant === null) throw unusable('revoked');
  const grant = parseGrant(mission.grant);
  if (grant === null) throw unusable('malformed');
  const revokedMs = lastRevocationMs(rows);
  if (revokedMs !== null && (instantMs(grant.issuedAt) ?? -Infinity) < revokedMs) throw unusable('revoked');
  const end = await grantEnd(tx, userId, sha256OfWrappedKey(grant.wrappedKey));
  if (end !== null) throw unusable(end);
  const unwrapped = unwrapGrant({ privateKeys: deps.privateKeys, userId, grant, nowMs: Date.now() });
  if (!unwrapped.ok) throw unusable(unwrapped.reason);
  return unwrapped.mdk;
}

function unusable(problem: GrantProblem): GrantUnusableError {
  countUnwrapFailure(problem);
  return new GrantUnusableError(problem);
}

/**
 * The key of a run without a grant, made at its first round.
 *
 * @returns 32 bytes, to be overwritten by the caller
 */
export async function runKey(
  deps: RunnerDependencies,
  tx: UserTransaction,
  userId: UserId,
  run: RunRef,
): Promise<Buffer> {
  const { primaryKeyId, keys } = deps.codecKeys;
  const context = { userId, iterationId: toIterationId(run.iterationId) };
  const stored = await readRunKey(tx, userId, run.iterationId);
  const known = stored === null ? null : unwrapRunKey(keys, context, stored);
  if (known !== null) return known;

  const primary = keys.get(primaryKeyId);
  if (primary === undefined) throw new Error('the primary codec key is not among the codec keys');
  // A key wrapped under a codec key that is gone opens nothing any more, nor does what it encrypted.
  await deleteRunKey(tx, userId, run.iterationId);
  const created = createRunKey();
  const wrappedKey = wrapRunKey({ id: primaryKeyId, key: primary }, context, created);
  if (await storeRunKey(tx, userId, { iterationId: run.iterationId, missionId: run.missionId, wrappedKey })) {
    return created;
  }
  // Another attempt of the same round was faster: its key is the run's, or what we encrypt could never be opened again.
  created.fill(0);
  return runKey(deps, tx, userId, run);
}

/**
 * Reads the rounds done so far, in order and without gaps. A round that no longer opens (another grant, a lost key)
 * and all after it are deleted: they will be asked again.
 */
export async function readRounds(
  tx: UserTransaction,
  userId: UserId,
  run: RunRef,
  key: Buffer,
): Promise<RoundEntry[]> {
  const entries: RoundEntry[] = [];
  const rows = await readTranscript(tx, userId, run.iterationId);
  for (const [index, row] of rows.entries()) {
    const opened =
      row.round === index + 1
        ? decryptTranscriptEntry(key, contextOf(userId, run, row.round), row.entry)
        : null;
    const entry = roundEntrySchema.safeParse(opened);
    if (!entry.success) {
      await deleteTranscriptFrom(tx, userId, run.iterationId, index + 1);
      break;
    }
    entries.push(entry.data);
  }
  return entries;
}

/** Stores a round unless an earlier attempt did: that one was paid for first. */
export async function storeRound(
  tx: UserTransaction,
  userId: UserId,
  run: RunRef,
  key: Buffer,
  round: number,
  entry: RoundEntry,
): Promise<boolean> {
  const encrypted = encryptTranscriptEntry(key, contextOf(userId, run, round), entry);
  return storeTranscriptEntry(tx, userId, {
    iterationId: run.iterationId,
    missionId: run.missionId,
    round,
    entry: encrypted,
  });
}

const contextOf = (userId: UserId, run: RunRef, round: number) => ({
  userId,
  missionId: toMissionId(run.missionId),
  iterationId: toIterationId(run.iterationId),
  round,
});

import type { ProjectionDependencies } from './dependencies.ts';
import type { SystemSql } from '../../db/client.ts';
import { revokeGrantsIssuedBefore } from '../../db/grant-use.ts';
import { lockMission } from '../../db/mission-lock.ts';
import { findRunClaimedBefore } from '../../db/projection.ts';
import type { FollowedChange, SavedAgent, SavedMission } from '../../db/projection.ts';
import { AGENTS, MISSIONS, readRecordRows } from '../../db/sync-changes.ts';
import { EMPTY_MERGE_STATE, takeInRows } from '../../domain/field-merge.ts';
import type { ChangeRow } from '../../domain/field-merge.ts';
import { lastRevocationMs } from '../../domain/grant-revocation.ts';
import { toMissionId, toUserId } from '../../domain/ids.ts';
import { formatInstant } from '../../domain/instant.ts';
import {
  knownMissionJson,
  knownMissionSchema,
  takeInMissionRows,
  UNKNOWN_MISSION,
} from '../../domain/known-mission.ts';
import { keepFields, mergeStateJson, mergeStateSchema } from '../../domain/merge-state.ts';
import { AGENT_FIELDS, agentSnapshotOf, snapshotOf } from '../../domain/mission-snapshot.ts';

/** What the projection has of a record. */
interface Before {
  /** False for one of which no row was ever projected. */
  readonly isKnown: boolean;
  /** JSON of an earlier version may not parse. */
  readonly kept: unknown;
}

export interface TakenInMission {
  readonly mission: SavedMission;
  /** Whether a device showed another distance from UTC: other missions of the user may follow it. */
  readonly offsetHasChanged: boolean;
}

/**
 * Takes new rows of a mission in, and does what they ask for besides: a revoked grant is revoked, a run that is to be
 * cancelled is told so, a lost iteration has its healing started. It does so before the rows count as projected, so that
 * what fails is tried again.
 */
export async function takeInMission(
  deps: ProjectionDependencies,
  tx: SystemSql,
  rows: readonly FollowedChange[],
  before: Before,
): Promise<TakenInMission> {
  const [{ userId: user, recordId: missionId }] = first(rows);
  const kept = knownMissionSchema.safeParse(before.kept);
  const known = kept.success ? kept.data : UNKNOWN_MISSION;
  const all = kept.success || !before.isKnown ? rows : await readAll(deps, first(rows)[0]);
  const taken = takeInMissionRows(known, all);
  await revokeGrants(deps, user, missionId, rows);
  if (taken.cancelRequestedAtMs !== null) {
    const run = await findRunClaimedBefore(tx, { userId: user, missionId }, taken.cancelRequestedAtMs);
    if (run !== null) await deps.requestCancel(run.workflowId, run.runId);
  }
  if (taken.mayNeedHealing) await deps.startHealing(user, missionId);
  const { offsetMinutes, shownAtMs } = taken.known.deviceOffset;
  return {
    mission: {
      ...{ userId: user, missionId, kept: knownMissionJson(taken.known), offsetMinutes },
      ...snapshotOf(missionId, taken.known.merge),
      offsetShownAtIso: offsetMinutes === null ? null : formatInstant(shownAtMs),
    },
    offsetHasChanged: offsetMinutes !== known.deviceOffset.offsetMinutes,
  };
}

export async function takeInAgent(
  deps: ProjectionDependencies,
  rows: readonly FollowedChange[],
  before: Before,
): Promise<SavedAgent> {
  const [{ userId, recordId: agentId }] = first(rows);
  const kept = mergeStateSchema.safeParse(before.kept);
  const all = kept.success || !before.isKnown ? rows : await readAll(deps, first(rows)[0]);
  const state = takeInRows(kept.success ? kept.data : EMPTY_MERGE_STATE, all, keepFields(AGENT_FIELDS));
  return { userId, agentId, kept: mergeStateJson(state), ...agentSnapshotOf(agentId, state) };
}

function first<T>(rows: readonly T[]): readonly [T] {
  const [row] = rows;
  if (row === undefined) throw new TypeError('rows of a record: found none');
  return [row];
}

/** Of a record whose kept state was made by another version. */
const readAll = (
  deps: ProjectionDependencies,
  { table, userId, recordId }: FollowedChange,
): Promise<ChangeRow[]> => {
  const user = toUserId(userId);
  const at = table === 'agents' ? AGENTS : MISSIONS;
  return deps.database.asUser(user, (tx) => readRecordRows(tx, user, { ...at, recordId }));
};

/** Sealing and revoking take the mission's lock (architecture section 2). */
async function revokeGrants(
  deps: ProjectionDependencies,
  user: string,
  mission: string,
  rows: readonly ChangeRow[],
): Promise<void> {
  const revokedMs = lastRevocationMs(rows);
  if (revokedMs === null) return;
  const [userId, missionId] = [toUserId(user), toMissionId(mission)];
  await deps.database.asUser(userId, async (tx) => {
    await lockMission(tx, userId, missionId);
    await revokeGrantsIssuedBefore(tx, userId, missionId, revokedMs);
  });
}

import type { ProjectionDependencies } from './dependencies.ts';
import { takeInSpaces } from './take-in-spaces.ts';
import type { SystemSql } from '#db/client.ts';
import { revokeGrantsIssuedBefore } from '#db/grant-use.ts';
import { lockMissionBriefly } from '#db/mission-lock.ts';
import {
  readChanges,
  readHeadsInSpace,
  readHeadsOfRecord,
  type FollowedChange,
  type FollowedHead,
} from '#db/followed-changes.ts';
import { findRunToCancel, type SavedAgent, type SavedMission } from '#db/projection.ts';
import { readMembers } from '#db/space-members.ts';
import { EMPTY_MERGE_STATE, takeInRows, writesOfRow } from '#domain/change-log/field-merge.ts';
import { type ChangeRow, RUNNER_CLIENT_ID } from '#domain/wire/rows.ts';
import { lastRevocationMs } from '#domain/grant/grant-revocation.ts';
import { toMissionId, toUserId } from '#domain/base/ids.ts';
import { formatInstant } from '#domain/base/instant.ts';
import {
  knownMissionJson,
  knownMissionSchema,
  takeInMissionRows,
  UNKNOWN_MISSION,
  type KnownMission,
} from '#domain/projection/known-mission.ts';
import { keepFields, mergeStateJson, mergeStateSchema } from '#domain/change-log/merge-state.ts';
import { AGENT_FIELDS, agentSnapshotOf, snapshotAmong } from '#domain/projection/mission-snapshot.ts';
import { MAX_ROW_BYTES } from '#domain/projection/page-shares.ts';
import { overwrittenBy, type MemberWrites } from '#domain/iteration/space-members.ts';

/** What the projection has of a record. */
interface Before {
  /** False for one of which no row was ever projected, and for one that has been gone so long that it was forgotten. */
  readonly isKnown: boolean;
  /** JSON of an earlier version may not parse. */
  readonly kept: unknown;
}

export interface TakenInMission {
  readonly mission: SavedMission;
  /** Whether a device showed another distance from UTC: other missions of the user may follow it. */
  readonly offsetHasChanged: boolean;
  /** Whether its healing is to be started once this is committed. */
  readonly isToHeal: boolean;
}

/**
 * Takes new rows of a mission in, and does what they ask for besides: a revoked grant is revoked, a run that is to be
 * cancelled is told so. It does so before the rows count as projected, so that what fails is tried again.
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
  let mayNeedHealing = false;
  let all = known;
  let hasOlder = false;
  if (!kept.success) {
    for await (const some of readOlder(deps.database.system, rows, before)) {
      const older = takeInMissionRows(all, some);
      all = older.known;
      mayNeedHealing ||= older.mayNeedHealing;
      hasOlder = true;
    }
  }
  const taken = takeInMissionRows(all, rows);
  const { space } = taken.known;
  if (hasOlder && space !== null) await takeInSpaceAgain(deps, tx, missionId, space.id);
  const members =
    space === null ? [] : await readMembers(tx, user, { missionId, spaceId: space.id }, { outlines: false });
  await revokeGrants(deps, user, missionId, rows);
  if (taken.cancelRequestedAtMs !== null) {
    const wish = { beforeMs: taken.cancelRequestedAtMs, iterationIds: taken.cancelRequestedIds };
    const run = await findRunToCancel(tx, { userId: user, missionId }, wish);
    if (run !== null) await deps.cancelRun(run);
  }
  const { offsetMinutes, shownAtMs } = taken.known.deviceOffset;
  return {
    mission: {
      ...{ userId: user, missionId, kept: knownMissionJson(taken.known), offsetMinutes },
      ...snapshotAmong(missionId, taken.known.merge, members),
      spaceId: space?.id ?? null,
      offsetShownAtIso: offsetMinutes === null ? null : formatInstant(shownAtMs),
    },
    offsetHasChanged: offsetMinutes !== known.deviceOffset.offsetMinutes,
    isToHeal: mayNeedHealing || taken.mayNeedHealing || isOverwrittenInSpace(taken.known, rows, members),
  };
}

/** A row of the mission's own that wrote iterations may have done so under a member's, or without what a member had done. */
const isOverwrittenInSpace = (
  { merge, iterations }: KnownMission,
  rows: readonly FollowedChange[],
  members: readonly MemberWrites[],
): boolean =>
  iterations.weWrote &&
  members.some(({ merge: theirs }) => theirs.writes.has('iterations')) &&
  rows.some((row) => writesOfRow(row).some(({ field }) => field === 'iterations')) &&
  (overwrittenBy(merge.writes.get('iterations')?.position ?? null, members) !== null ||
    rows.some(({ clientId }) => clientId !== RUNNER_CLIENT_ID));

/** What an earlier version did not keep of a space is read again with the mission that is in it. */
async function takeInSpaceAgain(
  deps: ProjectionDependencies,
  tx: SystemSql,
  recordId: string,
  spaceId: string,
): Promise<void> {
  const heads = await readHeadsInSpace(deps.database.system, { recordId, spaceId }, READ_AGAIN);
  for await (const some of readParts(deps.database.system, heads)) await takeInSpaces(tx, some);
}

export async function takeInAgent(
  deps: ProjectionDependencies,
  rows: readonly FollowedChange[],
  before: Before,
): Promise<SavedAgent> {
  const [{ userId, recordId: agentId }] = first(rows);
  const kept = mergeStateSchema.safeParse(before.kept);
  let state = kept.success ? kept.data : EMPTY_MERGE_STATE;
  if (!kept.success) {
    for await (const some of readOlder(deps.database.system, rows, before))
      state = takeInRows(state, some, keepFields(AGENT_FIELDS));
  }
  state = takeInRows(state, rows, keepFields(AGENT_FIELDS));
  return { userId, agentId, kept: mergeStateJson(state), ...agentSnapshotOf(agentId, state) };
}

function first<T>(rows: readonly T[]): readonly [T] {
  const [row] = rows;
  if (row === undefined) throw new TypeError('rows of a record: found none');
  return [row];
}

/** The newest rows of a record that are read again; older ones decide nothing that a device would not send again. */
const READ_AGAIN = 1_000;
const READ_AT_ONCE = 50;

/**
 * Of a record whose kept state was made by another version, part by part. A record begins with an insert: where an unknown one is
 * only changed, what it was may have been forgotten, its removal too, and stands before these rows.
 */
async function* readOlder(
  sql: SystemSql,
  rows: readonly FollowedChange[],
  { isKnown }: Before,
): AsyncGenerator<readonly FollowedChange[], void, undefined> {
  const [record] = first(rows);
  if (!isKnown && rows.some(({ op }) => op === 'insert')) return;
  const heads = await readHeadsOfRecord(sql, record, READ_AGAIN);
  yield* readParts(sql, isKnown ? heads : heads.filter((head) => isBefore(head, record)));
}

type InLog = Pick<FollowedHead, 'createdAt' | 'id'>;
const isBefore = (row: InLog, other: InLog): boolean =>
  row.createdAt < other.createdAt || (row.createdAt === other.createdAt && row.id < other.id);

async function* readParts(
  sql: SystemSql,
  heads: readonly FollowedHead[],
): AsyncGenerator<readonly FollowedChange[], void, undefined> {
  const ids = heads.filter(({ bytes }) => bytes <= MAX_ROW_BYTES).map(({ id }) => id);
  for (let start = 0; start < ids.length;) {
    const rows = await readChanges(sql, ids.slice(start, start + READ_AT_ONCE));
    if (rows.length === 0) return;
    start += rows.length;
    yield rows;
  }
}

/** Sealing and revoking take the mission's lock (docs/architecture.md section 2). */
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
    await lockMissionBriefly(tx, missionId);
    await revokeGrantsIssuedBefore(tx, missionId, revokedMs);
  });
}

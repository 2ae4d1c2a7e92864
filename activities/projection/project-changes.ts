import type { ProjectionDependencies } from './dependencies.ts';
import { revokeGrantsIssuedBefore } from '../../db/grant-use.ts';
import { lockMission } from '../../db/mission-lock.ts';
import { readMissionRows } from '../../db/missions.ts';
import {
  advanceCursor,
  lockCursor,
  markProjected,
  pruneProjected,
  readNewMissionChanges,
  saveSnapshot,
} from '../../db/projection.ts';
import type { MissionChange, ProjectionCursor } from '../../db/projection.ts';
import { mergeRecord } from '../../domain/field-merge.ts';
import { lastRevocationMs } from '../../domain/grant-revocation.ts';
import { toMissionId, toUserId } from '../../domain/ids.ts';
import { findOverwrite } from '../../domain/iterations.ts';
import { snapshotOf } from '../../domain/mission-snapshot.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/**
 * Rows a pass takes at a time; a longer backlog is taken in as many passes. The cursor's transaction idles while they
 * are projected, and the database ends one that idles for a minute.
 */
export const PAGE_SIZE = 200;

export interface PassCounts {
  /** False when another worker held the cursor. */
  readonly projected: boolean;
  /** Rows taken in; those of missions that failed are not among them, or nobody would ever pause. */
  readonly changes: number;
  readonly missions: number;
}

/**
 * Takes in the rows of missions that became visible since the last pass. The cursor's row is locked meanwhile, so two
 * workers never project the same rows; after a crash they are projected again, which changes nothing.
 */
export async function projectChanges(deps: ProjectionDependencies): Promise<PassCounts> {
  return deps.database.asSystem(async (tx) => {
    const cursor = await lockCursor(tx);
    if (cursor === null) return { projected: false, changes: 0, missions: 0 };
    const readBack = readBackOf(cursor);
    // A page that is full may have left rows of this read-back behind: it counts once a page is not.
    const { changes, missions, isComplete } = await projectPage(deps, tx, readBack.sinceMs);
    const finished = {
      thirtyMinutes: isComplete && readBack.thirtyMinutes,
      twentyFiveHours: isComplete && readBack.twentyFiveHours,
    };
    // Most passes find nothing: they write nothing either.
    if (changes > 0 || finished.thirtyMinutes || finished.twentyFiveHours) await advanceCursor(tx, finished);
    if (isComplete && readBack.twentyFiveHours) await pruneProjected(tx);
    return { projected: true, changes, missions };
  });
}

/**
 * Projects the first page of new rows of which anything can be projected. Rows of a mission that failed stay unprojected,
 * and the next read-backs try them again; a page full of them must not hide the rows behind it.
 */
async function projectPage(
  deps: ProjectionDependencies,
  tx: Parameters<typeof markProjected>[0],
  sinceMs: number,
): Promise<{ readonly changes: number; readonly missions: number; readonly isComplete: boolean }> {
  const failedIds: string[] = [];
  for (;;) {
    const changes = await readNewMissionChanges(tx, sinceMs, PAGE_SIZE, failedIds);
    const missions = distinctMissions(changes);
    const failed = new Set<string>();
    for (const mission of missions) {
      if (!(await tryMission(deps, mission))) failed.add(keyOf(mission));
    }
    const isComplete = changes.length < PAGE_SIZE;
    const done = changes.filter((change) => !failed.has(keyOf(change))).map((change) => change.changeId);
    if (done.length > 0) await markProjected(tx, done);
    if (done.length > 0 || isComplete) {
      return { changes: done.length, missions: missions.length - failed.size, isComplete };
    }
    failedIds.push(...changes.map((change) => change.changeId));
  }
}

/**
 * How far to read back: `created_at` is the time a transaction began, so rows become visible out of order (contract
 * section 1). 2 minutes each pass, 30 minutes every 5, 25 hours every hour and at first (architecture section 5).
 */
export function readBackOf(cursor: ProjectionCursor): {
  readonly sinceMs: number;
  readonly thirtyMinutes: boolean;
  readonly twentyFiveHours: boolean;
} {
  const twentyFiveHours = cursor.nowMs - cursor.readBack25HoursAtMs >= HOUR_MS;
  const thirtyMinutes = twentyFiveHours || cursor.nowMs - cursor.readBack30MinutesAtMs >= 5 * MINUTE_MS;
  const backMs = twentyFiveHours ? 25 * HOUR_MS : thirtyMinutes ? 30 * MINUTE_MS : 2 * MINUTE_MS;
  return { sinceMs: cursor.readUntilMs - backMs, thirtyMinutes, twentyFiveHours };
}

function distinctMissions(changes: readonly MissionChange[]): MissionChange[] {
  const byMission = new Map<string, MissionChange>();
  for (const change of changes) byMission.set(keyOf(change), change);
  return [...byMission.values()];
}

const keyOf = (change: MissionChange): string => JSON.stringify([change.userId, change.missionId]);

/** One mission that cannot be projected must not stop the others. */
async function tryMission(deps: ProjectionDependencies, change: MissionChange): Promise<boolean> {
  try {
    await projectMission(deps, change);
    return true;
  } catch (error) {
    deps.log.warn('mission not projected; it is tried again', {
      userId: change.userId,
      missionId: change.missionId,
      error: error instanceof Error ? error.name : typeof error,
    });
    return false;
  }
}

/** Ids of the web app have some 36 characters; our index on user and mission takes 2704 bytes for both together. */
const LONGEST_MISSION_ID = 500;

/**
 * Replays one mission into its snapshot. Rows of a user nobody can be (an empty id), or with an id that no web app makes,
 * are nobody's mission; any other malformed row is the merge's business and stops no other mission.
 */
async function projectMission(deps: ProjectionDependencies, change: MissionChange): Promise<void> {
  if (change.userId.trim() === '' || change.missionId.length > LONGEST_MISSION_ID) return;
  const userId = toUserId(change.userId);
  const missionId = toMissionId(change.missionId);
  const overwritten = await deps.database.asUser(userId, async (tx) => {
    await lockMission(tx, userId, missionId);
    const rows = await readMissionRows(tx, userId, missionId);
    const merged = mergeRecord(missionId, rows);
    await saveSnapshot(tx, userId, missionId, snapshotOf(missionId, merged));
    const revokedMs = lastRevocationMs(rows);
    if (revokedMs !== null) await revokeGrantsIssuedBefore(tx, userId, missionId, revokedMs);
    return merged !== null && findOverwrite(rows, merged.record['iterations']) !== null;
  });
  if (overwritten) await deps.startHealing(userId, missionId);
}

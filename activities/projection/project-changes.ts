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
/** Rows a pass takes at a time; a longer backlog is taken in as many passes. */
const PAGE_SIZE = 500;

export interface PassCounts {
  /** False when another worker held the cursor. */
  readonly projected: boolean;
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
    const changes = await readNewMissionChanges(tx, readBack.sinceMs, PAGE_SIZE);
    const missions = distinctMissions(changes);
    const failed = new Set<string>();
    for (const mission of missions) {
      if (!(await tryMission(deps, mission))) failed.add(keyOf(mission));
    }
    // Rows of a mission that failed stay unprojected, and the next read-backs try them again.
    const done = changes.filter((change) => !failed.has(keyOf(change)));
    if (done.length > 0) {
      await markProjected(
        tx,
        done.map((change) => change.changeId),
      );
    }
    // A page that is full may have left rows of this read-back behind: it counts once a page is not.
    const isComplete = changes.length < PAGE_SIZE;
    await advanceCursor(tx, {
      thirtyMinutes: isComplete && readBack.thirtyMinutes,
      twentyFiveHours: isComplete && readBack.twentyFiveHours,
    });
    if (isComplete && readBack.twentyFiveHours) await pruneProjected(tx);
    return { projected: true, changes: changes.length, missions: missions.length };
  });
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

/**
 * Replays one mission into its snapshot. Rows of a user nobody can be (an empty id) are nobody's mission; any other
 * malformed row is the merge's business and stops no other mission.
 */
async function projectMission(deps: ProjectionDependencies, change: MissionChange): Promise<void> {
  if (change.userId.trim() === '') return;
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

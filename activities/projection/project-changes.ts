import type postgres from 'postgres';
import type { ProjectionDependencies } from './dependencies.ts';
import { takeInAgent, takeInMission } from './take-in-record.ts';
import {
  advanceCursor,
  lockCursor,
  makeInferredSchedulesPending,
  markProjected,
  pruneProjected,
  readKept,
  readNewChanges,
  saveAgents,
  saveMissions,
} from '../../db/projection.ts';
import type {
  FollowedChange,
  FollowedRecord,
  PageEnd,
  ProjectionCursor,
  SavedAgent,
  SavedMission,
} from '../../db/projection.ts';

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
  /** Rows taken in; those of records that failed are not among them, or nobody would ever pause. */
  readonly changes: number;
  /** Missions and agents that they belong to. */
  readonly records: number;
}

/**
 * Takes in the rows of missions and agents that became visible since the last pass. Nothing but these rows is read, and
 * what is kept of their records: a pass costs what is new, however long the log is.
 *
 * All of it is one transaction, under the cursor's lock: two workers never project the same rows, and after a crash they
 * are projected again, which changes nothing.
 */
export async function projectChanges(deps: ProjectionDependencies): Promise<PassCounts> {
  return deps.database.asSystem(async (tx) => {
    const cursor = await lockCursor(tx);
    if (cursor === null) return { projected: false, changes: 0, records: 0 };
    const readBack = readBackOf(cursor);
    const { changes, records, isComplete, pageEnd } = await projectPage(deps, tx, cursor, readBack.backMs);
    const finished = {
      thirtyMinutes: isComplete && readBack.thirtyMinutes,
      twentyFiveHours: isComplete && readBack.twentyFiveHours,
    };
    // Most passes find nothing: they write nothing either.
    const isAtRest = changes === 0 && cursor.pageEnd === null && !finished.thirtyMinutes;
    if (!isAtRest) await advanceCursor(tx, finished, pageEnd);
    if (isComplete && readBack.twentyFiveHours) await pruneProjected(tx);
    return { projected: true, changes, records };
  });
}

interface PageCounts {
  readonly changes: number;
  readonly records: number;
  /** Whether the read-back was read from its beginning to its end: rows may have become visible behind a page's end. */
  readonly isComplete: boolean;
  readonly pageEnd: PageEnd | null;
}

/**
 * Projects the next page of new rows of which anything can be projected. Rows of a record that failed stay unprojected,
 * and the next read-backs try them again; a page full of them must not hide the rows behind it.
 *
 * A long read-back goes on where the last page ended: from its beginning each page would pass over all those before.
 */
async function projectPage(
  deps: ProjectionDependencies,
  tx: postgres.TransactionSql,
  cursor: ProjectionCursor,
  backMs: number,
): Promise<PageCounts> {
  let isResumed = cursor.pageEnd?.backMs === backMs;
  let after = isResumed ? cursor.pageEnd : null;
  for (;;) {
    const page = await readNewChanges(tx, { readUntil: cursor.readUntil, backMs }, PAGE_SIZE, after);
    const groups = groupsOf(page.filter(isFollowed));
    const failed = await projectGroups(deps, tx, groups);
    const last = page.length < PAGE_SIZE ? undefined : page.at(-1);
    const pageEnd = last === undefined ? null : { backMs, createdAt: last.createdAt, id: last.id };
    const done = page.filter((change) => !failed.has(keyOf(change)));
    if (done.length > 0) await markProjected(tx, done);
    if (done.length > 0 || (pageEnd === null && !isResumed)) {
      const isComplete = pageEnd === null && !isResumed;
      return { changes: done.length, records: groups.size - failed.size, isComplete, pageEnd };
    }
    isResumed &&= pageEnd !== null;
    after = pageEnd;
  }
}

/**
 * How far to read back: `created_at` is the time a transaction began, so rows become visible out of order (contract
 * section 1). 2 minutes each pass, 30 minutes every 5, 25 hours every hour and at first (architecture section 5).
 */
export function readBackOf(cursor: Omit<ProjectionCursor, 'readUntil' | 'pageEnd'>): {
  readonly backMs: number;
  readonly thirtyMinutes: boolean;
  readonly twentyFiveHours: boolean;
} {
  // A clock that was set back makes the last time lie ahead.
  const isDue = (lastMs: number, everyMs: number): boolean =>
    cursor.nowMs - lastMs >= everyMs || lastMs > cursor.nowMs;
  const twentyFiveHours = isDue(cursor.readBack25HoursAtMs, HOUR_MS);
  const thirtyMinutes = twentyFiveHours || isDue(cursor.readBack30MinutesAtMs, 5 * MINUTE_MS);
  const backMs = twentyFiveHours ? 25 * HOUR_MS : thirtyMinutes ? 30 * MINUTE_MS : 2 * MINUTE_MS;
  return { backMs, thirtyMinutes, twentyFiveHours };
}

/** Ids of the web app have some 36 characters; our index on user and record takes 2704 bytes for both together. */
const LONGEST_RECORD_ID = 500;

/** Rows of a user nobody can be (an empty id), or with an id that no web app makes, are nobody's record. */
const isFollowed = ({ userId, recordId }: FollowedRecord): boolean =>
  userId.trim() !== '' && recordId.length <= LONGEST_RECORD_ID;

const keyOf = ({ table, userId, recordId }: FollowedRecord): string =>
  JSON.stringify([table, userId, recordId]);

/** The new rows of each record. */
function groupsOf(changes: readonly FollowedChange[]): Map<string, FollowedChange[]> {
  const groups = new Map<string, FollowedChange[]>();
  for (const change of changes) {
    const known = groups.get(keyOf(change));
    if (known === undefined) groups.set(keyOf(change), [change]);
    else known.push(change);
  }
  return groups;
}

/** @returns the keys of records that could not be projected: one must not stop the others */
async function projectGroups(
  deps: ProjectionDependencies,
  tx: postgres.TransactionSql,
  groups: ReadonlyMap<string, readonly FollowedChange[]>,
): Promise<ReadonlySet<string>> {
  const records = [...groups.values()].flatMap(([first]) => first ?? []);
  const kept = new Map<string, unknown>();
  for (const table of ['aiMissions', 'agents'] as const) {
    const ofTable = records.filter((record) => record.table === table);
    if (ofTable.length === 0) continue;
    for (const known of await readKept(tx, table, ofTable)) kept.set(keyOf(known), known.kept);
  }
  const failed = new Set<string>();
  const missions: SavedMission[] = [];
  const agents: SavedAgent[] = [];
  const shifted: SavedMission[] = [];
  for (const [key, rows] of groups) {
    try {
      // A record that is unknown has no older rows; of one that is, they are read again where nothing was kept.
      const before = { isKnown: kept.has(key), kept: kept.get(key) };
      if (rows[0]?.table === 'agents') agents.push(await takeInAgent(deps, rows, before));
      else {
        const { mission, offsetHasChanged } = await takeInMission(deps, tx, rows, before);
        missions.push(mission);
        if (offsetHasChanged) shifted.push(mission);
      }
    } catch (error) {
      failed.add(key);
      logFailure(deps, rows[0], error);
    }
  }
  const logUnsaved = (record: FollowedRecord, error: unknown): void => {
    failed.add(keyOf(record));
    logFailure(deps, record, error);
  };
  await saveEach(tx, missions, saveMissions, (mission, error) =>
    logUnsaved({ table: 'aiMissions', userId: mission.userId, recordId: mission.missionId }, error),
  );
  await saveEach(tx, agents, saveAgents, (agent, error) =>
    logUnsaved({ table: 'agents', userId: agent.userId, recordId: agent.agentId }, error),
  );
  if (shifted.length > 0) await makeInferredSchedulesPending(tx, shifted);
  return failed;
}

/** Saves all at once, or one by one where that fails: what the database does not take must stop nothing else. */
async function saveEach<T>(
  tx: postgres.TransactionSql,
  all: readonly T[],
  save: (tx: postgres.TransactionSql, some: readonly T[]) => Promise<void>,
  onFailure: (one: T, error: unknown) => void,
): Promise<void> {
  if (all.length === 0) return;
  try {
    await tx.savepoint((inner) => save(inner, all));
  } catch {
    for (const one of all) {
      await tx.savepoint((inner) => save(inner, [one])).catch((error: unknown) => onFailure(one, error));
    }
  }
}

function logFailure(deps: ProjectionDependencies, record: FollowedRecord | undefined, error: unknown): void {
  deps.log.warn('record not projected; it is tried again', {
    table: record?.table,
    userId: record?.userId,
    ...(record?.table === 'agents' ? { agentId: record.recordId } : { missionId: record?.recordId }),
    error: error instanceof Error ? error.name : typeof error,
  });
}

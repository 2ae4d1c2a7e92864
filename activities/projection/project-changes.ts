import { type ProjectionDependencies, logFailure } from './dependencies.ts';
import { takeInAgent, takeInMission } from './take-in-record.ts';
import { startHealings } from './start-healings.ts';
import { refreshOthers, takeInSpaces, type SpaceChange } from './take-in-spaces.ts';
import {
  beginBacklogs,
  endBacklog,
  endTurn,
  LONGEST_RECORD_ID,
  mayBeOfRow,
  nextBacklog,
  readBacklogHeads,
  readChanges,
  readLateHeads,
  readNewHeads,
  type FollowedChange,
  type FollowedHead,
  type FollowedRecord,
  type PageEnd,
} from '#db/followed-changes.ts';
import { erasedAmong } from '#db/erased-users.ts';
import {
  advanceCursor,
  lockCursor,
  makeInferredSchedulesPending,
  markProjected,
  markToHeal,
  pruneProjected,
  readKept,
  saveAgents,
  saveMissions,
  type ProjectionCursor,
  type SavedAgent,
  type SavedMission,
} from '#db/projection.ts';
import { pageShares, turnShares, type PageShares } from '#domain/projection/page-shares.ts';
import type { Transaction } from '#db/transaction.ts';
import { observeProjected } from '#metrics/projection.ts';
import { countPutAside } from '#metrics/put-aside.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** What each pass reads back. */
export const ALWAYS_BACK_MS = 2 * MINUTE_MS;
/**
 * Rows a pass takes at a time; a longer backlog is taken in as many passes. The cursor's transaction idles while they
 * are projected, and the database ends one that idles for a minute.
 */
export const PAGE_SIZE = 200;
/** What is not projected by then waits for the next pass: calls of Temporal may be slow. */
const LONGEST_PAGE_MS = 5_000;
/** Records whose kept state is read at once. */
const RECORDS_AT_ONCE = 10;

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
 * All of a page is one transaction, under the cursor's lock: two workers never project the same rows, and after a crash
 * they are projected again, which changes nothing. Users who write more than their share have a page of their own, one
 * user after the other, so that what all others wait for stays short.
 */
export async function takeInChanges(deps: ProjectionDependencies): Promise<PassCounts> {
  const { hasBacklogs, ...page } = await deps.database.asSystem(async (tx) => {
    const cursor = await lockCursor(tx);
    if (cursor === null) return { projected: false, changes: 0, records: 0, hasBacklogs: false };
    const readBack = readBackOf(cursor);
    const { changes, records, isComplete, pageEnd } = await projectPage(deps, tx, cursor, readBack.backMs);
    const finished = {
      thirtyMinutes: isComplete && readBack.thirtyMinutes,
      twentyFiveHours: isComplete && readBack.twentyFiveHours,
    };
    // Most passes find nothing: they write nothing either.
    const isAtRest =
      changes === 0 &&
      cursor.pageEnd === null &&
      pageEnd === null &&
      !finished.thirtyMinutes &&
      !cursor.hasBacklogs;
    if (!isAtRest) await advanceCursor(tx, finished, pageEnd);
    if (isComplete && readBack.twentyFiveHours) await pruneProjected(tx);
    return { projected: true, changes, records, hasBacklogs: cursor.hasBacklogs };
  });
  const turn = hasBacklogs ? await takeTurn(deps) : { changes: 0, records: 0 };
  return { ...page, changes: page.changes + turn.changes, records: page.records + turn.records };
}

/** The same, and then starts the healings that the rows ask for. */
export async function projectChanges(deps: ProjectionDependencies): Promise<PassCounts> {
  const counts = await takeInChanges(deps);
  await startHealings(deps);
  return counts;
}

/**
 * A page of one user who has turns of their own. What became visible behind it meanwhile is looked for at the end, as far
 * back as rows are late at all.
 */
async function takeTurn(
  deps: ProjectionDependencies,
): Promise<{ readonly changes: number; readonly records: number }> {
  return deps.database.asSystem(async (tx) => {
    const cursor = await lockCursor(tx);
    const backlog = cursor === null ? null : await nextBacklog(tx);
    if (cursor === null || backlog === null) return { changes: 0, records: 0 };
    const ahead = await readBacklogHeads(tx, backlog, PAGE_SIZE);
    const isLast = ahead.length === 0;
    const heads = isLast ? await readLateHeads(tx, backlog, cursor, PAGE_SIZE) : ahead;
    const shares = turnShares(heads, heads.length === PAGE_SIZE);
    const done = await projectShares(deps, tx, heads, { ...shares, backlogs: new Map() });
    if (isLast && done.changes === 0) await endBacklog(tx, backlog.userId);
    else
      await endTurn(tx, backlog.userId, isLast ? backlog.after : (done.end ?? heads.at(-1) ?? backlog.after));
    return done;
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
  tx: Transaction,
  cursor: ProjectionCursor,
  backMs: number,
): Promise<PageCounts> {
  const untilMs = performance.now() + LONGEST_PAGE_MS;
  let isResumed = cursor.pageEnd?.backMs === backMs;
  let after = isResumed ? cursor.pageEnd : null;
  for (;;) {
    const heads = await readNewHeads(tx, { readUntil: cursor.readUntil, backMs }, PAGE_SIZE, after);
    const shares = pageShares(heads, heads.length === PAGE_SIZE);
    const { changes, records, end } = await projectShares(deps, tx, heads, shares);
    const pageEnd = end === null ? null : { backMs, createdAt: end.createdAt, id: end.id };
    if (changes > 0 || (pageEnd === null && !isResumed) || performance.now() >= untilMs) {
      return { changes, records, isComplete: pageEnd === null && !isResumed, pageEnd };
    }
    isResumed &&= pageEnd !== null;
    after = pageEnd;
  }
}

interface ProjectedShares {
  /** Rows that count as projected. */
  readonly changes: number;
  readonly records: number;
  /** See `PageShares`; earlier, where a page could not be projected as a whole. */
  readonly end: FollowedHead | null;
}

/** Reads and projects what is to be taken of a page, and remembers what was. */
async function projectShares(
  deps: ProjectionDependencies,
  tx: Transaction,
  heads: readonly FollowedHead[],
  shares: PageShares<FollowedHead>,
): Promise<ProjectedShares> {
  // Rows of users who were erased count as projected, unread. Those of a user who is being entered stay as rows that failed
  // do: if that is broken off, they are as good as others.
  const users = await erasedAmong(
    tx,
    shares.taken.map(({ userId }) => userId),
  );
  const erased = shares.taken.filter(({ userId }) => users.erased.has(userId));
  const entering = shares.taken.filter(({ userId }) => users.entering.has(userId));
  const isPassedOver = isOneOf([...erased, ...entering]);
  const { rows, unreadable } = await readRows(
    tx,
    shares.taken.filter((head) => !isPassedOver(head)),
  );
  const groups = groupsOf(rows.filter(isFollowed));
  const { failed, left } = await projectGroups(deps, tx, groups);
  // What did not fit into this process, or into the time of a page, is the beginning of the next one.
  const notRead = shares.taken.slice(
    shares.taken.findLastIndex(isOneOf([...rows, ...unreadable, ...erased, ...entering])) + 1,
  );
  const isForLater = isOneOf([...notRead, ...shares.taken.filter((head) => left.has(keyOf(head)))]);
  const firstLeft = heads.findIndex(isForLater);
  const isNow = isOneOf(firstLeft === -1 ? heads : heads.slice(0, firstLeft));
  const tooLarge = shares.tooLarge.filter(isNow);
  const isForAnotherPass = isOneOf(entering);
  const done = shares.taken.filter(
    (head) => !isForLater(head) && !failed.has(keyOf(head)) && !isForAnotherPass(head),
  );
  const projected = [...done, ...tooLarge];
  if (projected.length > 0) await markProjected(tx, projected);
  // Only now: rows whose connection ended cannot be read either, and are read by the next pass.
  for (const head of [...tooLarge, ...unreadable]) putAside(deps, head, 'row');
  for (const row of rows)
    if (row.unread !== 'nothing' && !left.has(keyOf(row))) putAside(deps, row, row.unread);
  for (const { createdAt } of projected) observeProjected(createdAt, Date.now());
  await beginBacklogs(tx, new Map([...shares.backlogs].filter(([, last]) => isNow(last))));
  const end = firstLeft === -1 ? shares.end : (heads[firstLeft - 1] ?? null);
  return { changes: projected.length, records: groups.size - failed.size - left.size, end };
}

const isOneOf = (some: readonly { readonly id: string }[]): ((one: { readonly id: string }) => boolean) => {
  const ids = new Set(some.map(({ id }) => id));
  return ({ id }) => ids.has(id);
};

interface ReadRows {
  /** From the beginning, and as many as fit. */
  readonly rows: readonly FollowedChange[];
  /** Those that the database does not give, or not in time. */
  readonly unreadable: readonly FollowedHead[];
}

/** After a failure that one row may be to blame for, a few are read one by one: it must not stop the others for good. */
const READ_ONE_BY_ONE = 4;

async function readRows(tx: Transaction, taken: readonly FollowedHead[]): Promise<ReadRows> {
  if (taken.length === 0) return { rows: [], unreadable: [] };
  const idsOf = (heads: readonly FollowedHead[]): string[] => heads.map(({ id }) => id);
  try {
    return { rows: await tx.savepoint((inner) => readChanges(inner, idsOf(taken))), unreadable: [] };
  } catch (error) {
    if (!mayBeOfRow(error)) throw error;
    const rows: FollowedChange[] = [];
    const unreadable: FollowedHead[] = [];
    for (const head of taken.slice(0, READ_ONE_BY_ONE)) {
      try {
        rows.push(...(await tx.savepoint((inner) => readChanges(inner, idsOf([head])))));
      } catch (failure) {
        if (!mayBeOfRow(failure)) throw failure;
        unreadable.push(head);
      }
    }
    return { rows, unreadable };
  }
}

/** The user's run says it where it can be said: it meets the same limits. */
function putAside(
  deps: ProjectionDependencies,
  head: FollowedRecord & { readonly id: string },
  what: 'row' | 'iterations',
): void {
  countPutAside(what === 'row' ? 'projected-row' : 'projected-iterations');
  const { table, userId, recordId, id } = head;
  deps.log.warn('too large to be projected; it is passed over', {
    ...{ table, userId, changeId: id, what },
    ...(table === 'agents' ? { agentId: recordId } : { missionId: recordId }),
  });
}

/**
 * How far to read back: `created_at` is the time a transaction began, so rows become visible out of order
 * (docs/platform.md section 1). 2 minutes each pass, 30 minutes every 5, 25 hours every hour and at first
 * (docs/architecture.md section 5).
 */
export function readBackOf(cursor: Omit<ProjectionCursor, 'readUntil' | 'pageEnd' | 'hasBacklogs'>): {
  readonly backMs: number;
  readonly thirtyMinutes: boolean;
  readonly twentyFiveHours: boolean;
} {
  // A clock that was set back makes the last time lie ahead.
  const isDue = (lastMs: number, everyMs: number): boolean =>
    cursor.nowMs - lastMs >= everyMs || lastMs > cursor.nowMs;
  const twentyFiveHours = isDue(cursor.readBack25HoursAtMs, HOUR_MS);
  const thirtyMinutes = twentyFiveHours || isDue(cursor.readBack30MinutesAtMs, 5 * MINUTE_MS);
  const backMs = twentyFiveHours ? 25 * HOUR_MS : thirtyMinutes ? 30 * MINUTE_MS : ALWAYS_BACK_MS;
  return { backMs, thirtyMinutes, twentyFiveHours };
}

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

interface ProjectedGroups {
  /** Keys of records that could not be projected: one must not stop the others. */
  readonly failed: ReadonlySet<string>;
  /** Keys of records for which there was no time. */
  readonly left: ReadonlySet<string>;
}

async function projectGroups(
  deps: ProjectionDependencies,
  tx: Transaction,
  groups: ReadonlyMap<string, readonly FollowedChange[]>,
): Promise<ProjectedGroups> {
  const failed = new Set<string>();
  const waiting = [...groups];
  const untilMs = performance.now() + LONGEST_PAGE_MS;
  do {
    const some = new Map(waiting.splice(0, RECORDS_AT_ONCE));
    for (const key of await projectSome(deps, tx, some)) failed.add(key);
  } while (waiting.length > 0 && performance.now() < untilMs);
  return { failed, left: new Set(waiting.map(([key]) => key)) };
}

/** @returns the keys of records that could not be projected */
async function projectSome(
  deps: ProjectionDependencies,
  tx: Transaction,
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
  const logUnsaved = (record: FollowedRecord, error: unknown): void => {
    failed.add(keyOf(record));
    logUnprojected(deps, record, error);
  };
  const missions: SavedMission[] = [];
  const agents: SavedAgent[] = [];
  const shifted: SavedMission[] = [];
  const toHeal: SavedMission[] = [];
  // First, so that a mission finds what other members of its space wrote in the same page.
  const shared = await takeInSpacesOf(tx, [...groups.values()], logUnsaved);
  for (const [key, rows] of groups) {
    if (failed.has(key)) continue;
    try {
      // A record that is unknown has no older rows; of one that is, they are read again where nothing was kept.
      const before = { isKnown: kept.has(key), kept: kept.get(key) };
      if (rows[0]?.table === 'agents') agents.push(await takeInAgent(deps, rows, before));
      else {
        const { mission, offsetHasChanged, isToHeal } = await takeInMission(deps, tx, rows, before);
        missions.push(mission);
        if (offsetHasChanged) shifted.push(mission);
        if (isToHeal) toHeal.push(mission);
      }
    } catch (error) {
      failed.add(key);
      if (rows[0] !== undefined) logUnprojected(deps, rows[0], error);
    }
  }
  await saveEach(tx, missions, saveMissions, (mission, error) =>
    logUnsaved({ table: 'aiMissions', userId: mission.userId, recordId: mission.missionId }, error),
  );
  await saveEach(tx, agents, saveAgents, (agent, error) =>
    logUnsaved({ table: 'agents', userId: agent.userId, recordId: agent.agentId }, error),
  );
  if (shifted.length > 0) await makeInferredSchedulesPending(tx, shifted);
  await markToHeal(tx, toHeal);
  await saveEach(tx, shared, refreshOthers, ({ userId, missionId }, error) =>
    logUnsaved({ table: 'aiMissions', userId, recordId: missionId }, error),
  );
  return failed;
}

async function takeInSpacesOf(
  tx: Transaction,
  groups: readonly (readonly FollowedChange[])[],
  onFailure: (record: FollowedRecord, error: unknown) => void,
): Promise<SpaceChange[]> {
  const changes: SpaceChange[] = [];
  const shared = groups.filter((rows) => rows.some(({ spaceId }) => spaceId !== null));
  const takeIn = async (inner: Transaction, some: readonly (readonly FollowedChange[])[]): Promise<void> => {
    changes.push(...(await takeInSpaces(inner, some.flat())));
  };
  await saveEach(tx, shared, takeIn, ([row], error) => {
    if (row !== undefined) onFailure(row, error);
  });
  return changes;
}

/** Saves all at once, or one by one where that fails: what the database does not take must stop nothing else. */
async function saveEach<T>(
  tx: Transaction,
  all: readonly T[],
  save: (tx: Transaction, some: readonly T[]) => Promise<void>,
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

const logUnprojected = (
  deps: ProjectionDependencies,
  { table, userId, recordId }: FollowedRecord,
  error: unknown,
): void =>
  logFailure(
    deps,
    'record not projected; it is tried again',
    { table, userId, ...(table === 'agents' ? { agentId: recordId } : { missionId: recordId }) },
    error,
  );

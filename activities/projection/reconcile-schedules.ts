import { applyMission, startIfPassed } from './apply-mission.ts';
import { type ProjectionDependencies, logFailure } from './dependencies.ts';
import { inParallel } from './in-parallel.ts';
import { wantedSchedule } from './wanted-schedule.ts';
import { isProjectionComplete, readMissionsAfter, type PendingMission } from '#db/schedule-state.ts';
import type { ReconcileResult } from '#domain/projection/pass-results.ts';
import { reportReconcile } from '#metrics/projection.ts';
import { missionScheduleId } from '#schedules/schedule-ids.ts';
import { isTemporalUnavailable } from '#temporal/grpc-status.ts';

const PAGE_SIZE = 1_000;

type Counts = { -readonly [Name in keyof ReconcileResult]-?: number };

/** A schedule of Temporal's list: texts only, for a hundred thousand of them are held at once. */
interface FoundSchedule {
  readonly fingerprint: string;
  /** Whether its id is the one that its mission's schedule has. */
  readonly isMissionsOwn: boolean;
  readonly isUnderFirstKey: boolean;
}
/** By namespace, then by the schedule's id. */
type FoundSchedules = Map<string, Map<string, FoundSchedule>>;

/**
 * Compares all missions with all schedules and mends what drifted apart: schedules deleted, changed or doubled by hand, or
 * left behind, also in a namespace that is not their user's (any more). An operator's pause is no drift. Inputs that another
 * codec key encrypted are encrypted anew, for a schedule keeps its input for years.
 *
 * The list is a moment old, so nothing is mended on its word alone: updating looks at the schedule first, the server
 * creates no second one, and both count only where it was wrong. Schedules are listed before the missions are read, so
 * that a schedule made meanwhile is not taken for one without a mission. Missions that are pending are left to those who
 * apply them, unless their schedule is under another codec key: who applies them may send nothing.
 *
 * @throws when Temporal or the database do not answer; what was mended until then stays mended
 */
export async function reconcileSchedules(
  deps: ProjectionDependencies,
  signal: AbortSignal,
): Promise<ReconcileResult> {
  const found = await listSchedules(deps, signal);
  const counts: Counts = {
    ...{ missions: 0, schedules: 0, created: 0, updated: 0, reencrypted: 0, moved: 0, removed: 0 },
    ...{ duplicatesRemoved: 0, started: 0, failed: 0 },
  };
  for (const inNamespace of found.values()) counts.schedules += inNamespace.size;
  const mayRemove = await isProjectionComplete(deps.database.system);
  let page = await readMissionsAfter(deps.database.system, null, PAGE_SIZE);
  while (page.length > 0) {
    signal.throwIfAborted();
    await reconcilePage(deps, page, found, counts, signal);
    page = await readMissionsAfter(deps.database.system, page.at(-1) ?? null, PAGE_SIZE);
  }
  // What no mission has claimed. While the projection is being built, it may just not have come so far.
  for (const [namespace, leftovers] of mayRemove ? found : [])
    await inParallel(leftovers, signal, (leftover) => removeLeftover(deps, namespace, leftover, counts));
  signal.throwIfAborted();
  reportReconcile(counts, Date.now());
  deps.log.info('schedules reconciled', { ...counts });
  return counts;
}

async function listSchedules(deps: ProjectionDependencies, signal: AbortSignal): Promise<FoundSchedules> {
  const found: FoundSchedules = new Map();
  for await (const listed of deps.schedules.list()) {
    signal.throwIfAborted();
    const { namespace, scheduleId, userId, missionId, fingerprint, isUnderFirstKey } = listed;
    const isMissionsOwn = scheduleId === missionScheduleId(userId, missionId);
    const inNamespace = found.get(namespace) ?? new Map<string, FoundSchedule>();
    found.set(namespace, inNamespace.set(scheduleId, { fingerprint, isMissionsOwn, isUnderFirstKey }));
  }
  return found;
}

/** Takes the missions' schedules out of `found`. */
async function reconcilePage(
  deps: ProjectionDependencies,
  page: readonly PendingMission[],
  found: FoundSchedules,
  counts: Counts,
  signal: AbortSignal,
): Promise<void> {
  const toLookAt: (() => Promise<void>)[] = [];
  for (const mission of page) {
    const scheduleId = missionScheduleId(mission.userId, mission.missionId);
    const inOwn = found.get(deps.schedules.namespaceOf(mission.userId));
    const present = inOwn?.get(scheduleId);
    const fingerprint = present?.fingerprint ?? null;
    inOwn?.delete(scheduleId);
    // It is moved by whoever brings it up to date. Beside one in its user's own namespace it is a double, which is left over.
    const isElsewhere = present === undefined && takeOut(found, scheduleId);
    const expected = await fingerprintOf(deps, mission);
    if (expected !== null) counts.missions += 1;
    const isUnderOtherKey = present?.isUnderFirstKey === false && expected !== null;
    if (mission.isPending && !isUnderOtherKey) continue;
    if (fingerprint !== expected || isElsewhere) toLookAt.push(() => mend(deps, mission, counts));
    else if (expected !== null) toLookAt.push(() => start(deps, mission, counts));
  }
  await inParallel(toLookAt, signal, (look) => look());
}

function takeOut(found: FoundSchedules, scheduleId: string): boolean {
  let wasThere = false;
  for (const inNamespace of found.values()) wasThere = inNamespace.delete(scheduleId) || wasThere;
  return wasThere;
}

/** Null for a mission that has no schedule. */
async function fingerprintOf(deps: ProjectionDependencies, mission: PendingMission): Promise<string | null> {
  const wanted = await wantedSchedule(mission, deps.schedules.followsZone);
  if (wanted === null) return null;
  const { userId, missionId } = mission;
  return deps.schedules.fingerprintOf({
    userId,
    missionId,
    agentId: wanted.schedule.agentId,
    spec: wanted.spec,
  });
}

const mend = (deps: ProjectionDependencies, mission: PendingMission, counts: Counts): Promise<void> =>
  attempt(deps, mission, counts, async () => {
    const { change, started } = await applyMission(deps, mission, { isDrifted: true });
    if (started) counts.started += 1;
    if (change === 'unchanged') return;
    counts[change] += 1;
    // After a rotation, or with another list of namespaces, that is a great many: the count tells enough.
    if (change === 'reencrypted' || change === 'moved') return;
    const { userId, missionId } = mission;
    deps.log.info('schedule mended', { userId, missionId, change });
  });

const start = (deps: ProjectionDependencies, mission: PendingMission, counts: Counts): Promise<void> =>
  attempt(deps, mission, counts, async () => {
    if ((await startIfPassed(deps, mission)) === 'started') counts.started += 1;
  });

/** One mission that fails must not keep the others from being mended; a server that does not answer ends it all. */
async function attempt(
  deps: ProjectionDependencies,
  mission: PendingMission,
  counts: Counts,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (isTemporalUnavailable(error)) throw error;
    counts.failed += 1;
    logFailure(deps, 'schedule not reconciled; it is tried again', mission, error);
  }
}

async function removeLeftover(
  deps: ProjectionDependencies,
  namespace: string,
  [scheduleId, { isMissionsOwn }]: readonly [string, FoundSchedule],
  counts: Counts,
): Promise<void> {
  if (!(await deps.schedules.removeById({ namespace, scheduleId }))) return;
  counts[isMissionsOwn ? 'removed' : 'duplicatesRemoved'] += 1;
  deps.log.info('schedule without a mission removed', { scheduleId });
}

import type { ProjectionDependencies } from './dependencies.ts';
import { runsByItself, wantedSchedule } from './wanted-schedule.ts';
import {
  markApplied,
  putAsideOverLimit,
  type AppliedSchedule,
  type Noted,
  type PendingMission,
} from '#db/schedule-state.ts';
import { erasedAmong, isErased } from '#db/erased-users.ts';
import { OwnError } from '#domain/base/errors.ts';
import type { ScheduleChange } from '#schedules/mission-schedules.ts';

/** A schedule that is made so shortly before its instant may be taken up only after it, and then passes over it. */
const SHORTLY_MS = 60_000;
/**
 * How long what was read of a user counts. A call takes 10 s at most, and erasing looks for what such calls made 30 s after the user was
 * entered (commands/user-erase.ts).
 */
const NOT_ERASED_FOR_MS = 5_000;

export interface AppliedMission {
  readonly change: ScheduleChange | 'removed';
  /** Whether a run was started because the mission's instant had passed. */
  readonly started: boolean;
}

/** What was done, and is yet to be noted; null: nothing is. */
export interface MadeMission extends AppliedMission {
  readonly toNote: Noted | null;
}

/**
 * Makes a mission's schedule what its snapshot wants, and starts the mission if its instant has passed; also where the
 * schedule could not be written. Then it notes so.
 *
 * @param options.isDrifted the schedule is not, or may not be, what was applied last: look at it in any case
 * @throws what the calls of Temporal and the database throw; the mission stays as pending as it was
 */
export async function applyMission(
  deps: ProjectionDependencies,
  mission: PendingMission,
  options: { readonly isDrifted: boolean } = { isDrifted: false },
): Promise<AppliedMission> {
  const { toNote, ...made } = await makeMission(deps, mission, options);
  if (toNote !== null) await markApplied(deps.database.system, toNote);
  return made;
}

/**
 * The same without noting it: until then the mission is pending. Whoever makes it again finds the schedule as it should be, and a
 * run that was started is not started twice.
 */
export async function makeMission(
  deps: ProjectionDependencies,
  mission: PendingMission,
  options: { readonly isDrifted: boolean } = { isDrifted: false },
): Promise<MadeMission> {
  // One too many of its user never had one; a hundred thousand of them must cost nothing. The reconcile looks all the same.
  if (mission.isOverLimit && !options.isDrifted) {
    await putAside(deps, mission.userId);
    return { change: 'unchanged', started: false, toNote: null };
  }
  try {
    const { change, schedule } = await bringUpToDate(deps, mission, options.isDrifted);
    const start = schedule === null ? 'not-started' : await startIfPassed(deps, mission);
    const lookAgainAtMs = schedule === null ? null : lookAgainAt(mission, start);
    return { change, started: start === 'started', toNote: { mission, applied: schedule, lookAgainAtMs } };
  } catch (error) {
    // A passed instant does not wait for a schedule that cannot be written. One that was started is not started again.
    if (runsByItself(mission)) await startIfPassed(deps, mission);
    throw error;
  }
}

async function putAside(deps: ProjectionDependencies, userId: string): Promise<void> {
  const missions = await putAsideOverLimit(deps.database.system, userId);
  if (missions > 0)
    deps.log.warn('missions beyond the limit of a user get no schedule', { userId, missions });
}

interface UpToDate {
  readonly change: AppliedMission['change'];
  /** The schedule that Temporal has now. */
  readonly schedule: AppliedSchedule | null;
}

async function bringUpToDate(
  deps: ProjectionDependencies,
  mission: PendingMission,
  isDrifted: boolean,
): Promise<UpToDate> {
  const { userId, missionId } = mission;
  const wanted = await wantedSchedule(mission, deps.schedules.followsZone);
  if (wanted === null) {
    const removed = await deps.schedules.remove(userId, missionId);
    return { change: removed ? 'removed' : 'unchanged', schedule: null };
  }
  const { schedule, spec, isApplied } = wanted;
  if (isApplied && !isDrifted) return { change: 'unchanged', schedule };
  const { agentId } = schedule;
  // Looking for it in several namespaces takes a while, and erasing waits for little more than the call that creates it.
  const mayCreate = async (): Promise<boolean> =>
    isKnownNotErased(mission) ||
    !(await isErased(deps.database.system, userId)) ||
    !(await isErasedForGood(deps, userId));
  const change = await deps.schedules.ensure(
    { userId, missionId, agentId, spec },
    { mayCreate, isFirst: mission.applied === null },
  );
  return change === null ? { change: 'unchanged', schedule: null } : { change, schedule };
}

const isKnownNotErased = ({ notErasedAtMs }: PendingMission): boolean =>
  notErasedAtMs !== null && performance.now() - notErasedAtMs < NOT_ERASED_FOR_MS;

class BeingErasedError extends OwnError {
  override readonly name = 'BeingErasedError';
}

/** @throws BeingErasedError while the user is being entered as erased: that may be broken off, and then the mission has to be pending still */
async function isErasedForGood({ database }: ProjectionDependencies, userId: string): Promise<boolean> {
  const { erased, entering } = await database.asSystem((tx) => erasedAmong(tx, [userId]));
  if (entering.size > 0)
    throw new BeingErasedError('the user is being entered as erased; looking again later');
  return erased.size > 0;
}

const isShortlyAhead = ({ nextRunAtMs, nowMs }: PendingMission): boolean => {
  const aheadMs = (nextRunAtMs ?? 0) - nowMs();
  return aheadMs > 0 && aheadMs < SHORTLY_MS;
};

const lookAgainAt = (mission: PendingMission, start: StartResult): number | null => {
  if (isShortlyAhead(mission)) return mission.nextRunAtMs;
  return start === 'waits' ? mission.nowMs() + LOOK_AGAIN_MS : null;
};

/** Runs of one user that are open before no more of that user's are started: whoever comes next must not queue behind them. */
const MAX_OPEN_RUNS = 50;
const LOOK_AGAIN_MS = 10_000;

/** Whether a run was started, or has to wait because its user has so many; then the mission is to be looked at again. */
export type StartResult = 'started' | 'waits' | 'not-started';

/**
 * A passed instant never fires by itself (docs/architecture.md section 5). A mission whose run is open, waiting for its agent
 * perhaps, is not late; and a direct start must not go round an operator's pause.
 */
export async function startIfPassed(
  deps: ProjectionDependencies,
  mission: PendingMission,
): Promise<StartResult> {
  const { userId, missionId, agentId, nextRunAtMs, slot } = mission;
  if (mission.isPutAside || mission.isStopped) return 'not-started';
  if (nextRunAtMs === null || nextRunAtMs > mission.nowMs()) return 'not-started';
  if (slot !== null && (await deps.isRunOpen(slot.workflowId, slot.runId))) return 'not-started';
  if (mission.openRunsOfUser >= MAX_OPEN_RUNS || !deps.mayStart(userId, mission.nowMs())) return 'waits';
  if (await deps.schedules.holdsBack(userId, missionId)) return 'not-started';
  if (await isErased(deps.database.system, userId)) return 'not-started';
  const result = await deps.schedules.startDue({
    ...{ userId, missionId, agentId },
    instantMs: nextRunAtMs,
  });
  return result === 'started' ? 'started' : 'not-started';
}

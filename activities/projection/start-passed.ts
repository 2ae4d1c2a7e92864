import { startIfPassed } from './apply-mission.ts';
import { type ProjectionDependencies, logFailure } from './dependencies.ts';
import { inParallel } from './in-parallel.ts';
import { runsByItself } from './wanted-schedule.ts';
import {
  markLookedAt,
  readMissionsToLookAt,
  readPassedMissions,
  type PendingMission,
} from '#db/schedule-state.ts';
import { isTemporalUnavailable } from '#temporal/grpc-status.ts';

const PAGE_SIZE = 200;
/** Longer than a run's jitter and start take: only what nobody started is overdue. */
export const OVERDUE_MS = 5 * 60_000;

/**
 * Starts missions whose instant passed and whose run never came, for example after a long downtime of Temporal or when an
 * operator ends a pause. What cannot be started now is tried again the next time.
 *
 * @param passedForMs how long ago the instant must have passed; `OVERDUE_MS` leaves the schedules their time
 * @returns how many were started
 */
export async function startPassed(
  deps: ProjectionDependencies,
  passedForMs: number,
  signal: AbortSignal,
): Promise<number> {
  const outcome = { started: 0, isUnavailable: false };
  const tryOne = async (mission: PendingMission): Promise<void> => {
    if (outcome.isUnavailable) return;
    try {
      const start = await startIfPassed(deps, mission);
      if (start === 'started') outcome.started += 1;
      if (start === 'waits') await markLookedAt(deps.database.system, mission, true);
    } catch (error) {
      logFailure(deps, 'passed mission not started; it is tried again', mission, error);
      if (isTemporalUnavailable(error)) outcome.isUnavailable = true;
    }
  };
  let page = await readPassedMissions(deps.database.system, passedForMs, null, PAGE_SIZE);
  while (page.length > 0 && !signal.aborted && !outcome.isUnavailable) {
    await inParallel(page, signal, tryOne);
    page = await readPassedMissions(deps.database.system, passedForMs, page.at(-1) ?? null, PAGE_SIZE);
  }
  return outcome.started;
}

/**
 * Looks at the missions that were first seen, or whose schedules were written, shortly before their instants: the server may
 * have taken up such a schedule only afterwards, and a passed instant never fires. One whose run has come is left alone.
 *
 * @returns how many were started
 */
export async function startLateSeen(deps: ProjectionDependencies, signal: AbortSignal): Promise<number> {
  let started = 0;
  const look = async (mission: PendingMission): Promise<void> => {
    let again: boolean;
    try {
      const isToRun = runsByItself(mission) && !mission.isOverLimit;
      const start = isToRun ? await startIfPassed(deps, mission) : 'not-started';
      if (start === 'started') started += 1;
      again = start === 'waits';
    } catch (error) {
      logFailure(deps, 'late-seen mission not started; it is tried again', mission, error);
      again = true;
    }
    await markLookedAt(deps.database.system, mission, again);
  };
  for (;;) {
    const page = signal.aborted ? [] : await readMissionsToLookAt(deps.database.system, PAGE_SIZE);
    await inParallel(page, signal, look);
    if (page.length < PAGE_SIZE) return started;
  }
}

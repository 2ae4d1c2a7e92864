import type { ProjectionDependencies } from './dependencies.ts';
import {
  markApplied,
  postponePending,
  readOverdueMissions,
  readPendingMissions,
} from '../../db/projection.ts';
import type { AppliedSchedule, PendingMission } from '../../db/projection.ts';
import { missionScheduleSpec, wouldFireNextAt } from '../../domain/schedule-spec.ts';
import { zonedCadence } from '../../domain/zoned-cadence.ts';

const BATCH_SIZE = 200;
/** How many schedules are written at once; a namespace takes some hundred a second. */
const CONCURRENCY = 10;
/** Longer than a run's jitter and start take: only what nobody started is overdue. */
const OVERDUE_MS = 5 * 60_000;

/**
 * Brings Temporal's schedules up to date with the snapshots. What fails stays pending for the next pass; a mission that
 * always fails must not keep the others waiting.
 *
 * @returns how many were brought up to date
 */
export async function applySchedules(deps: ProjectionDependencies, signal: AbortSignal): Promise<number> {
  const pending = await readPendingMissions(deps.database.system, BATCH_SIZE);
  let applied = 0;
  const queue = pending.values();
  const worker = async (): Promise<void> => {
    for (const mission of queue) {
      if (signal.aborted) return;
      if (await tryMission(deps, mission, () => applyMission(deps, mission))) applied += 1;
      else await postponePending(deps.database.system, mission);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  return applied;
}

/** Starts missions whose instant passed and whose run never came, for example after a long downtime of Temporal. */
export async function startOverdue(deps: ProjectionDependencies): Promise<number> {
  const overdue = await readOverdueMissions(deps.database.system, OVERDUE_MS, BATCH_SIZE);
  let started = 0;
  for (const mission of overdue) {
    if (await tryMission(deps, mission, () => startIfPassed(deps, mission))) started += 1;
  }
  return started;
}

async function tryMission(
  deps: ProjectionDependencies,
  mission: PendingMission,
  work: () => Promise<void>,
): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    deps.log.warn('schedule not brought up to date; it stays pending', {
      userId: mission.userId,
      missionId: mission.missionId,
      error: error instanceof Error ? error.name : typeof error,
    });
    return false;
  }
}

async function applyMission(deps: ProjectionDependencies, mission: PendingMission): Promise<void> {
  const { userId, missionId, agentId } = mission;
  const wanted = wantedSchedule(mission);
  const spec = wanted === null ? null : missionScheduleSpec(wanted);
  if (wanted === null || spec === null) {
    await deps.schedules.remove(userId, missionId);
    if (wanted !== null) await startIfPassed(deps, mission);
    return markApplied(deps.database.system, mission, null);
  }
  // Asked once: an instant that falls between two answers would leave the wrong schedule noted as applied.
  const firesAsWanted = firesAt(mission.applied, wanted);
  if (!firesAsWanted) await deps.schedules.ensure({ userId, missionId, agentId, spec, paused: false });
  // A passed instant never fires by itself (architecture section 5).
  await startIfPassed(deps, mission);
  // An update that was not needed leaves the schedule with its first instant, which the next one has to be compared with.
  return markApplied(deps.database.system, mission, firesAsWanted ? mission.applied : wanted);
}

/** Null for missions that have no schedule: gone, not active, or without anything to compute an instant from. */
function wantedSchedule(mission: PendingMission): AppliedSchedule | null {
  if (!mission.exists || mission.state !== 'active' || mission.cadence === null) return null;
  const { nextRunAtMs, agentId } = mission;
  return { ...zonedCadence(mission.cadence, mission.timeZone), nextRunAtMs, agentId };
}

/** No update is sent when the present spec would fire exactly at the new `nextRunAt`, as it does after every run. */
const firesAt = (applied: AppliedSchedule | null, wanted: AppliedSchedule): boolean =>
  applied !== null && applied.agentId === wanted.agentId && wouldFireNextAt(applied, wanted, Date.now());

async function startIfPassed(deps: ProjectionDependencies, mission: PendingMission): Promise<void> {
  const { userId, missionId, agentId, nextRunAtMs } = mission;
  if (nextRunAtMs === null || nextRunAtMs > Date.now()) return;
  // An operator's pause holds back the schedule; a direct start must not go round it.
  if (await deps.schedules.isPaused(userId, missionId)) return;
  await deps.schedules.startDue({
    userId,
    missionId,
    agentId,
    instantMs: nextRunAtMs,
    trigger: 'projection',
  });
}

import type { Database, UserTransaction } from '#db/client.ts';
import { findMissionSlot, findSlotOfRun } from '#db/mission-schedule.ts';
import { readPlanningStop } from '#db/planning-stop.ts';
import {
  AgentNotActiveError,
  AlreadyRunningError,
  MissionNotActiveError,
  NotFoundError,
  PlanningStoppedError,
  RunFinishedError,
} from '#domain/base/errors.ts';
import type { MissionId, UserId } from '#domain/base/ids.ts';
import type { MissionRuns } from '#runs/mission-runs.ts';
import type { MissionRun } from '#runs/run-execution.ts';
import { requireMission } from './mission-schedule.ts';
import type { RunCursors } from './run-cursors.ts';
import type { RunBody } from './schemas/mission-run.ts';

export interface RunDependencies {
  readonly syncDatabase: Database;
  readonly runs: MissionRuns;
  readonly cursors: RunCursors;
  /** The database's clock, in milliseconds since the epoch. */
  readonly readClock: (tx: UserTransaction) => Promise<number>;
}

/**
 * Starts a run now, also of a mission that was taken out of the background or whose schedule an operator paused.
 *
 * @returns its run id
 * @throws NotFoundError, MissionNotActiveError, AgentNotActiveError, PlanningStoppedError, AlreadyRunningError;
 *   TemporalUnavailableError
 */
export async function startRunNow(
  { syncDatabase, runs, readClock }: RunDependencies,
  userId: UserId,
  missionId: MissionId,
): Promise<string> {
  const { mission, planningStop, slot, nowMs } = await syncDatabase.asUser(userId, async (tx) => ({
    mission: await requireMission(tx, missionId),
    planningStop: await readPlanningStop(tx),
    slot: await findMissionSlot(tx, missionId),
    nowMs: await readClock(tx),
  }));
  if (mission.state !== 'active') throw new MissionNotActiveError();
  if (mission.agentState !== null && mission.agentState !== 'active') throw new AgentNotActiveError();
  // The run would end as `paused`, and its user could think that the mission is.
  if (planningStop !== null) throw new PlanningStoppedError();
  const run = { userId, missionId, agentId: mission.agentId };
  if (await runs.hasOpenRun(run, nowMs, slot)) throw new AlreadyRunningError();
  const runId = await runs.startNow(run, nowMs);
  if (runId === null) throw new AlreadyRunningError();
  return runId;
}

/** @throws NotFoundError; TemporalUnavailableError */
export async function listMissionRuns(
  { syncDatabase, runs, cursors }: RunDependencies,
  userId: UserId,
  missionId: MissionId,
  page: { readonly limit: number; readonly cursor: string | undefined },
): Promise<{ runs: RunBody[]; nextCursor: string | null } | 'unreadable-cursor'> {
  await syncDatabase.asUser(userId, (tx) => requireMission(tx, missionId));
  const listOf = [userId, missionId];
  const pageToken = page.cursor === undefined ? new Uint8Array() : cursors.decode(listOf, page.cursor);
  if (pageToken === null) return 'unreadable-cursor';
  const listed = await runs.list(userId, missionId, { limit: page.limit, pageToken });
  return { runs: listed.runs.map(runBodyOf), nextCursor: cursors.encode(listOf, listed.nextPageToken) };
}

const RUN_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/**
 * A run of the user, whether or not its mission still exists.
 *
 * @param missionId null: of any mission
 * @throws NotFoundError; TemporalUnavailableError
 */
export async function findOwnRun(
  { syncDatabase, runs }: RunDependencies,
  userId: UserId,
  runId: string,
  missionId: string | null,
): Promise<MissionRun> {
  const slotOf = () => syncDatabase.asUser(userId, (tx) => findSlotOfRun(tx, runId));
  const run = RUN_ID.test(runId) ? await runs.find(userId, runId, slotOf) : null;
  if (run === null || (missionId !== null && run.missionId !== missionId))
    throw new NotFoundError('no such run');
  return run;
}

/**
 * Ends an open run; doing it again while it ends is harmless.
 *
 * @throws RunFinishedError
 */
export async function cancelOwnRun({ runs }: RunDependencies, run: MissionRun): Promise<void> {
  if (run.state !== 'running' || !(await runs.cancel(run))) throw new RunFinishedError();
}

/** As the API shows it. */
export function runBodyOf(run: MissionRun): RunBody {
  const { runId, missionId, trigger, state, startedAt, finishedAt, result } = run;
  return {
    ...{ runId, missionId, trigger, state },
    // What the run returned is more recent than what visibility shows.
    outcome: result?.outcome ?? run.outcome,
    reason: result?.failureCode ?? null,
    startedAt: startedAt.toISOString(),
    finishedAt: finishedAt?.toISOString() ?? null,
    durationMs: finishedAt === null ? null : finishedAt.getTime() - startedAt.getTime(),
    rounds: result?.rounds ?? null,
    steps: result?.steps ?? null,
    totalTokens: result?.totalTokens ?? null,
  };
}

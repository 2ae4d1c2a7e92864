import type { RunnerDependencies } from './dependencies.ts';
import { forgetRun, sweepRuns } from './forget-run.ts';
import { healIterations } from './heal-iterations.ts';
import { loadRun } from './load-run.ts';
import { planRound } from './plan-round.ts';
import { writeIteration } from './write-iteration.ts';
import { gatewayRetryDelay, slotRetryDelay } from '../retry-delays.ts';
import { runActivity } from '../run-activity.ts';
import { toUserId } from '../../domain/ids.ts';
import type {
  LoadRunInput,
  LoadRunResult,
  PlanRoundInput,
  PlanRoundResult,
  RunRef,
  WriteIterationInput,
  WriteIterationResult,
} from '../../domain/run.ts';

const HEARTBEAT_EVERY_MS = 2_000;

/** Activities of task queue `missions`. Their names are stored in histories. */
export interface RunnerActivities {
  loadRun(input: LoadRunInput): Promise<LoadRunResult>;
  planRound(input: PlanRoundInput): Promise<PlanRoundResult>;
  writeIteration(input: WriteIterationInput): Promise<WriteIterationResult>;
  forgetRun(run: Pick<RunRef, 'userId' | 'missionId' | 'runId'>): Promise<void>;
  healIterations(mission: Pick<RunRef, 'userId' | 'missionId'>): Promise<{ restored: number }>;
  sweepRuns(): Promise<{ swept: number }>;
}

export function createRunnerActivities(deps: RunnerDependencies): RunnerActivities {
  return {
    loadRun: (input) => runActivity(() => loadRun(deps, input), { retryDelay: slotRetryDelay(deps.random) }),
    planRound: (input) =>
      runActivity(({ signal }) => planRound(deps, input, signal), {
        heartbeatEveryMs: HEARTBEAT_EVERY_MS,
        retryDelay: gatewayRetryDelay(deps.random),
      }),
    writeIteration: (input) => runActivity(() => writeIteration(deps, input)),
    forgetRun: (run) => runActivity(() => forgetRun(deps.database, toUserId(run.userId), run)),
    healIterations: (mission) =>
      runActivity(async () => ({
        restored: await healIterations(deps, toUserId(mission.userId), mission.missionId),
      })),
    sweepRuns: () => runActivity(async () => ({ swept: await sweepRuns(deps) })),
  };
}

import {
  isCancellation,
  proxySinks,
  workflowInfo,
  type Sinks,
  type WorkflowInterceptors,
  type WorkflowInterceptorsFactory,
} from '@temporalio/workflow';
import { applicationFailureOf, endsRun } from './run-failures.ts';
import type { RunnerActivities } from '#activities/runner/activities.ts';
import type { VaultActivities } from '#activities/vault/activities.ts';
import { STUCK, type LoadRunResult, type MissionRunResult } from '#domain/run/run.ts';
import type { RunBegun, RunEnded, RunReports, TimedPhase } from '#domain/run/run-report.ts';
import { MISSION_RUN_WORKFLOW_TYPE, type MissionRunInput } from '#temporal/messages.ts';

const { runs } = proxySinks<RunReports & Sinks>();

/** The phase that each activity of a run belongs to. */
const PHASES: Readonly<
  Record<Exclude<keyof RunnerActivities, 'healIterations' | 'sweepRuns'> | keyof VaultActivities, TimedPhase>
> = {
  loadRun: 'loading',
  sealInputs: 'resolving-inputs',
  submitResearch: 'researching',
  awaitResearch: 'researching',
  giveUpResearch: 'researching',
  planRound: 'calling-llm',
  compactTranscript: 'calling-llm',
  writeIteration: 'finalizing',
  forgetRun: 'forgetting',
};

/** Tells the worker when a run begins and ends. It makes no command and changes none, so histories replay with it and without. */
export const interceptors: WorkflowInterceptorsFactory = () =>
  workflowInfo().workflowType === MISSION_RUN_WORKFLOW_TYPE ? reportRun() : {};

function reportRun(): WorkflowInterceptors {
  const phaseMs: Partial<Record<TimedPhase, number>> = {};
  const agent = watchAgent();
  const timed = async <T>(activityType: string, work: () => Promise<T>): Promise<T> => {
    const startedAtMs = Date.now();
    try {
      const result = activityType === 'loadRun' ? await agent.loading(work) : await work();
      if (activityType === 'loadRun') reportLag(result as LoadRunResult);
      return result;
    } finally {
      const tookMs = Date.now() - startedAtMs;
      const phase = phaseOf(activityType);
      if (phase !== null) phaseMs[phase] = (phaseMs[phase] ?? 0) + tookMs;
    }
  };
  return {
    inbound: [
      {
        execute: async (input, next) => {
          const { userId, missionId, trigger } = input.args[0] as MissionRunInput;
          const begun = { userId, missionId, trigger };
          runs.begun(begun);
          try {
            const result = await next(input);
            runs.ended(reportOf(begun, result as MissionRunResult, phaseMs));
            return result;
          } catch (error) {
            const outcome = isCancellation(error) ? 'cancelled' : STUCK;
            if (endsRun(error)) runs.ended(reportOf(begun, { outcome, ...UNKNOWN }, phaseMs));
            throw error;
          }
        },
      },
    ],
    outbound: [
      {
        scheduleActivity: (input, next) => timed(input.activityType, () => next(input)),
        scheduleLocalActivity: (input, next) => timed(input.activityType, () => next(input)),
      },
    ],
  };
}

function reportLag(loaded: LoadRunResult): void {
  if (loaded.outcome === 'ready' && loaded.dueAtMs !== undefined)
    runs.passedGates(Date.now() - loaded.dueAtMs);
}

/** The run waits from the moment in which its agent was found busy until it is loaded, or gives up. */
function watchAgent(): { loading<T>(work: () => Promise<T>): Promise<T> } {
  let busySinceMs: number | null = null;
  return {
    loading: async (work) => {
      const waitsSinceMs = busySinceMs;
      try {
        return await work();
      } catch (error) {
        if (applicationFailureOf(error)?.type === 'SLOT_BUSY') busySinceMs ??= Date.now();
        throw error;
      } finally {
        if (waitsSinceMs !== null) runs.waitedForAgent(Date.now() - waitsSinceMs);
      }
    },
  };
}

const UNKNOWN = { failureCode: null, rounds: null, steps: null, totalTokens: null };

const reportOf = (
  begun: RunBegun,
  {
    outcome,
    failureCode,
    rounds,
    steps,
    totalTokens,
  }: Omit<RunEnded, keyof RunBegun | 'durationMs' | 'phaseMs'>,
  phaseMs: RunEnded['phaseMs'],
): RunEnded => ({
  ...{ ...begun, outcome, failureCode, rounds, steps, totalTokens },
  durationMs: Date.now() - workflowInfo().startTime.getTime(),
  phaseMs,
});

const phaseOf = (activityType: string): TimedPhase | null =>
  Object.entries(PHASES).find(([known]) => known === activityType)?.[1] ?? null;

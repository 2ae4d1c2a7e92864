import { log } from '@temporalio/activity';
import type { RunnerDependencies } from './dependencies.ts';
import { compactTranscript } from './round/compact.ts';
import { forgetRun, sweepRuns, type OnUnswept } from './forget-run.ts';
import { healIterations } from './heal-iterations.ts';
import { loadRun } from './load-run.ts';
import { planRounds } from './round/rounds.ts';
import { awaitResearch, giveUpResearch, submitResearch } from './research.ts';
import { letGoOfPlace, lettingGoOfPlace } from './slots.ts';
import { writeIteration } from './write-iteration.ts';
import { untilLastMoment } from '#activities/last-moment.ts';
import {
  gatewayRetryDelay,
  researchRetryDelay,
  roundRetryDelay,
  slotRetryDelay,
} from '#activities/retry-delays.ts';
import { runActivity } from '#activities/run-activity.ts';
import { countedClock } from '#activities/server-clock.ts';
import { readClockMs } from '#db/sync-changes.ts';
import { createTokenCalibration } from '#domain/planner/model/token-calibration.ts';
import type {
  CompactTranscriptInput,
  CompactTranscriptResult,
  LoadRunInput,
  LoadRunResult,
  PlanRoundInput,
  PlanRoundResult,
  ResearchInput,
  RunRef,
  SubmitResearchResult,
  WriteIterationInput,
  WriteIterationResult,
} from '#domain/run/run.ts';

const HEARTBEAT_EVERY_MS = 5_000;

/** Activities of task queue `missions`. Their names are stored in histories. */
export interface RunnerActivities {
  loadRun(input: LoadRunInput): Promise<LoadRunResult>;
  /** Shallow research is done when this returns, deep research is submitted, at most once for each iteration. */
  submitResearch(input: ResearchInput): Promise<SubmitResearchResult>;
  /** Each attempt asks once; the attempts, which the server counts, wait for up to an hour. */
  awaitResearch(input: ResearchInput): Promise<void>;
  /** Notes that no result came, so that the rounds go on without. */
  giveUpResearch(input: ResearchInput): Promise<void>;
  /** One round, or with `lastRound` as many as there are to ask. */
  planRound(input: PlanRoundInput): Promise<PlanRoundResult>;
  /** Has earlier rounds summarised by a cheaper model; the next round goes on from there. */
  compactTranscript(input: CompactTranscriptInput): Promise<CompactTranscriptResult>;
  writeIteration(input: WriteIterationInput): Promise<WriteIterationResult>;
  forgetRun(run: Pick<RunRef, 'userId' | 'missionId' | 'runId'>): Promise<void>;
  healIterations(mission: Pick<RunRef, 'userId' | 'missionId'>): Promise<{ restored: number }>;
  sweepRuns(): Promise<{ swept: number }>;
}

const logUnswept: OnUnswept = ({ workflowId, runId }, error) => {
  log.error('a run that has ended could not be swept', { workflowId, runId, error });
};

async function forget(
  deps: RunnerDependencies,
  run: Pick<RunRef, 'userId' | 'missionId' | 'runId'>,
): Promise<void> {
  const end = await forgetRun(deps.database, run.userId, run);
  if (end === 'put-aside') log.error('a mission is put aside: its run cannot be ended');
}

/** What models were seen to count is this process's own knowledge. */
export function createRunnerActivities(given: Omit<RunnerDependencies, 'calibration'>): RunnerActivities {
  const deps: RunnerDependencies = { calibration: createTokenCalibration(), ...given };
  const readClock = countedClock(() => readClockMs(deps.database.system));
  return {
    loadRun: (input) =>
      runActivity(
        async () => {
          const loaded = await loadRun(deps, input);
          if (loaded.outcome === 'ready' && loaded.tooLarge === true)
            log.warn('too large to be planned; the mission is passed over', { missionId: input.missionId });
          return loaded;
        },
        { retryDelay: slotRetryDelay(deps.random) },
      ),
    planRound: (input) =>
      runActivity(
        ({ signal, attempt, isHeld, tell, noteFailure }) =>
          untilLastMoment(signal, readClock, (inTime) =>
            planRounds(deps, input, {
              ...{ signal: inTime, attempt, isHeld, onRound: tell, onFailure: noteFailure },
              retryDelay: roundRetryDelay(deps.random),
            }),
          ),
        {
          heartbeatEveryMs: HEARTBEAT_EVERY_MS,
          retryDelay: roundRetryDelay(deps.random),
          onPaused: () => letGoOfPlace(deps, input),
        },
      ),
    submitResearch: (input) =>
      runActivity(({ signal }) => lettingGoOfPlace(deps, input, () => submitResearch(deps, input, signal)), {
        heartbeatEveryMs: HEARTBEAT_EVERY_MS,
        retryDelay: researchRetryDelay(deps.random),
      }),
    awaitResearch: (input) =>
      runActivity(({ signal }) => awaitResearch(deps, input, signal), {
        heartbeatEveryMs: HEARTBEAT_EVERY_MS,
        retryDelay: researchRetryDelay(deps.random),
      }),
    giveUpResearch: (input) => runActivity(() => giveUpResearch(deps, input)),
    compactTranscript: (input) =>
      runActivity(
        ({ signal }) => lettingGoOfPlace(deps, input, () => compactTranscript(deps, input, signal)),
        {
          heartbeatEveryMs: HEARTBEAT_EVERY_MS,
          retryDelay: gatewayRetryDelay(deps.random),
          onPaused: () => letGoOfPlace(deps, input),
        },
      ),
    writeIteration: (input) =>
      runActivity(async ({ noteFailure }) => {
        const written = await writeIteration(deps, input, noteFailure);
        if (input.thenForget !== true || written.forgotten === true) return written;
        try {
          await forget(deps, input);
          return { ...written, forgotten: true };
        } catch (error) {
          // What was written stands; the run forgets in a stage of its own, which is tried for longer.
          noteFailure(error);
          return written;
        }
      }),
    forgetRun: (run) => runActivity(() => forget(deps, run)),
    healIterations: (mission) =>
      runActivity(async () => ({ restored: await healIterations(deps, mission.userId, mission.missionId) }), {
        heartbeatEveryMs: HEARTBEAT_EVERY_MS,
      }),
    sweepRuns: () =>
      runActivity(async () => ({ swept: await sweepRuns(deps, logUnswept) }), {
        heartbeatEveryMs: HEARTBEAT_EVERY_MS,
        // What each run costs it is counted with the run.
        isNeverGivenUp: true,
      }),
  };
}

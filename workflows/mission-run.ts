import { defineSearchAttributeKey } from '@temporalio/common';
import {
  ApplicationFailure,
  CancellationScope,
  isCancellation,
  log,
  patched,
  setCurrentDetails,
  setHandler,
  sleep,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { activitiesOf, database, type RunActivities } from './activity-policies.ts';
import {
  applicationFailureOf,
  failureOfRound,
  orElse,
  roundFailure,
  sealFailure,
  slotBusyOf,
  type SlotBusy,
} from './run-failures.ts';
import { cancelRunSignal, runProgressQuery, type MissionRunInput } from '#temporal/messages.ts';
import type { RunnerActivities } from '#activities/runner/activities.ts';
import type { GrantProblem } from '#domain/base/errors.ts';
import { toIterationId, toMissionId, toUserId, toWorkflowRunId, type IterationId } from '#domain/base/ids.ts';
import {
  MAX_PLANNER_ROUNDS,
  STUCK,
  type EndCause,
  type IterationResult,
  type LoadedRun,
  type LoadRunInput,
  type LoadRunResult,
  type MissionRunResult,
  type PlanRoundResult,
  type ResearchKind,
  type RoundStop,
  type RunOutcome,
  type RunPhase,
  type RunRef,
  type WriteIterationResult,
} from '#domain/run/run.ts';
import type { RunFailure } from '#domain/wire/iteration.ts';
import { SEARCH_ATTRIBUTE_NAMES } from '#domain/run/search-attributes.ts';

const OUTCOME = defineSearchAttributeKey(SEARCH_ATTRIBUTE_NAMES.outcome, 'KEYWORD');
const GRANT_STATE = defineSearchAttributeKey(SEARCH_ATTRIBUTE_NAMES.grantState, 'KEYWORD');
const SCHEDULED_START = defineSearchAttributeKey('TemporalScheduledStartTime', 'DATETIME');

/** A stage of database work: here and now, or where that fails by an activity that keeps trying. */
async function stage<T>({ by }: RunState, work: (by: RunnerActivities) => Promise<T>): Promise<T> {
  try {
    return await work(database);
  } catch (error) {
    const failure = applicationFailureOf(error);
    if (isCancellation(error) || failure?.nonRetryable === true || failure?.type === 'SLOT_BUSY') throw error;
    return work(by.patient);
  }
}

/** What a run learns on its way; everything else is passed on from stage to stage. */
interface RunState {
  /** Each kind of activity under its policy. */
  by: RunActivities;
  phase: RunPhase;
  round: number;
  totalTokens: number;
  steps: number;
  failureCode: MissionRunResult['failureCode'];
  grantState: 'usable' | GrantProblem | null;
  agentId: string | null;
  /** Why no further round is asked. */
  stop: RoundStop | null;
  /** Set once the mission's slot is held: then something has to be forgotten at the end. */
  ref: RunRef | null;
}

/**
 * One run of one mission (docs/architecture.md section 4): load, check the grant, seal, plan in rounds, write back, forget.
 * Only ids, counts, states and codes pass through here.
 */
export async function missionRun(input: MissionRunInput): Promise<MissionRunResult> {
  const run: RunState = {
    by: activitiesOf(toUserId(input.userId)),
    phase: 'loading',
    round: 0,
    totalTokens: 0,
    steps: 0,
    failureCode: null,
    grantState: null,
    agentId: null,
    stop: null,
    ref: null,
  };
  const stages = new CancellationScope();
  setHandler(runProgressQuery, () => ({ phase: run.phase, round: run.round, totalTokens: run.totalTokens }));
  setHandler(cancelRunSignal, () => stages.cancel());
  try {
    return finish(run, await stages.run(() => runStages(run, input)));
  } catch (error) {
    if (!isCancellation(error)) return stuck(run, error);
    await CancellationScope.nonCancellable(() =>
      writeBack(run, { kind: 'advance-only', cause: 'cancelled' }),
    );
    // Cancelled by the user's signal, the run did as it was told; cancelled by an operator, Temporal shows that.
    if (CancellationScope.current().consideredCancelled) throw error;
    return finish(run, 'cancelled');
  } finally {
    await CancellationScope.nonCancellable(() => forget(run));
  }
}

/**
 * The run cannot go on, and nobody can be told by an iteration: it fails where operators look, by its outcome and by a type
 * that names the stage. What it held is swept; its mission, still due, is tried again.
 */
function stuck(run: RunState, error: unknown): never {
  if (!patched('stuck-outcome')) throw error;
  const cause = applicationFailureOf(error)?.type ?? 'TIMEOUT';
  log.error('the run is stuck', { phase: run.phase, failureType: cause });
  upsertSearchAttributes([{ key: OUTCOME, value: STUCK }]);
  throw ApplicationFailure.nonRetryable(`stuck while ${run.phase}: ${cause}`, 'RUN_STUCK');
}

async function runStages(run: RunState, input: MissionRunInput): Promise<RunOutcome> {
  const loaded = await load(run, input);
  if (loaded.iterationId !== null) run.ref = refOf(input, loaded.iterationId);
  if (loaded.outcome === 'given-up') return end(run, { code: 'worker-lost', phase: 'resolving-inputs' });
  if (loaded.outcome !== 'ready') {
    await writeBack(run, { kind: 'advance-only', cause: causeOf(loaded.outcome) });
    return loaded.outcome;
  }
  const ref = refOf(input, loaded.iterationId);
  run.by = activitiesOf(ref.userId, loaded.heartbeatTimeoutMs);
  run.agentId = loaded.agentId;
  const failure = await openAndPlan(run, loaded, ref);
  if (run.stop !== null) {
    await writeBack(run, { kind: 'advance-only', cause: run.stop });
    return run.stop === 'stopped' ? 'paused' : run.stop;
  }
  return end(run, failure);
}

/** Writes the plan, or the failure; what stands in the log then is the outcome. */
async function end(run: RunState, failure: RunFailure | null): Promise<RunOutcome> {
  const written = await writeBack(run, resultOf(run, failure));
  if (written?.outcome === 'stopped') return 'paused';
  return written === null || written.outcome === 'mission-gone' || written.outcome === 'advanced'
    ? 'deleted'
    : written.outcome;
}

/** What the iteration of a claim says that ends without a plan. */
const causeOf = (outcome: RunOutcome): EndCause =>
  outcome === 'agent-busy' || outcome === 'ran-elsewhere' ? outcome : 'stopped';

/** What earlier rounds planned is kept when a later one fails; the iteration says that the plan is not whole. */
const resultOf = (run: RunState, failure: RunFailure | null): IterationResult => {
  if (failure === null) return { kind: 'planned' };
  return run.steps === 0 ? { kind: 'failed', failure } : { kind: 'planned', cutShort: failure };
};

/** Opens and plans; nothing is opened for an agent that may not spend. */
async function openAndPlan(run: RunState, loaded: LoadedRun, ref: RunRef): Promise<RunFailure | null> {
  if (loaded.tooLarge === true) return { code: 'mission-too-large', phase: 'resolving-inputs' };
  if (loaded.budgetExhausted === true) return { code: 'budget-exhausted', phase: 'resolving-inputs' };
  return (await seal(run, loaded, ref)) ?? (await plan(run, loaded, ref));
}

/** Claims and reads the mission; waits where its agent is busy with others. */
async function load(
  run: RunState,
  input: MissionRunInput,
): Promise<LoadRunResult | { outcome: 'agent-busy' | 'given-up'; iterationId: IterationId }> {
  const request = loadRequest(input);
  let busy: SlotBusy;
  try {
    // Not cancelled under way: it may have claimed the instant, and whoever cancels then has the claim ended by what comes next.
    return await CancellationScope.nonCancellable(() => stage(run, (by) => by.loadRun(request)));
  } catch (error) {
    const failure = applicationFailureOf(error);
    if (failure?.type === 'WORKER_LOST')
      return { outcome: 'given-up', iterationId: toIterationId(String(failure.details?.[0])) };
    if (failure?.type !== 'SLOT_BUSY') throw error;
    busy = slotBusyOf(failure);
  }
  run.ref = refOf(input, busy.iterationId);
  return orElse(
    () => run.by.waitingFor(busy.longestWaitMs).loadRun(request),
    (cause) => ({
      outcome: cause?.type === 'WORKER_LOST' ? 'given-up' : 'agent-busy',
      iterationId: busy.iterationId,
    }),
  );
}

function loadRequest(input: MissionRunInput): LoadRunInput {
  const { workflowId, runId, startTime, typedSearchAttributes } = workflowInfo();
  return {
    ...missionOf(input),
    trigger: input.trigger,
    workflowId,
    runId: toWorkflowRunId(runId),
    startedAtMs: startTime.getTime(),
    scheduledAtMs: typedSearchAttributes.get(SCHEDULED_START)?.getTime() ?? null,
  };
}

/** What comes from outside is looked at here; from then on ids cannot be mixed up. */
const missionOf = (input: MissionRunInput) => ({
  userId: toUserId(input.userId),
  missionId: toMissionId(input.missionId),
});

const refOf = (input: MissionRunInput, iterationId: IterationId): RunRef => ({
  ...missionOf(input),
  iterationId,
  runId: toWorkflowRunId(workflowInfo().runId),
});

/** Has the granted records sealed for this run. Unreadable inputs fail no run, unreadable fields of the mission do. */
async function seal(run: RunState, loaded: LoadedRun, ref: RunRef): Promise<RunFailure | null> {
  enter(run, 'resolving-inputs');
  let problem = loaded.grant === 'usable' ? null : loaded.grant;
  if (problem === null) {
    const sealed = await orElse(() => run.by.vault.sealInputs(ref), sealFailure);
    if ('code' in sealed) return sealed;
    problem = sealed.problem;
    if (problem === null && !sealed.ownFieldsReadable) {
      return { code: 'mission-undecryptable', phase: 'resolving-inputs' };
    }
  }
  run.grantState = problem ?? 'usable';
  if (problem === null || !loaded.ownFieldsEncrypted) return null;
  return { code: `grant-${problem}`, phase: 'resolving-inputs' };
}

/** Asks the model until it calls no more tools, at most `maxRounds` times. An activity asks as many rounds as go well. */
async function plan(run: RunState, loaded: LoadedRun, ref: RunRef): Promise<RunFailure | null> {
  const maxRounds = loaded.maxRounds ?? MAX_PLANNER_ROUNDS;
  for (let round = 1; round <= maxRounds; round += 1) {
    run.round = round;
    const result = await orElse(() => askRoundsWithResearch(run, loaded, ref), roundFailure);
    if ('code' in result) return result;
    // Absent in older runs: the round that was asked for.
    round = run.round = result.round ?? round;
    run.steps = result.steps;
    run.totalTokens += result.totalTokens;
    if (result.status === 'stopped' || result.status === 'ran-elsewhere') {
      run.stop = result.status;
      return null;
    }
    const failure = failureOfRound(result, run.grantState);
    if (failure !== null) return failure;
    if (result.status !== 'continue') return null;
    if (result.compact === true && round < maxRounds) await compact(run, loaded, ref);
    if (result.pauseMs !== undefined) await sleep(result.pauseMs);
  }
  return null;
}

/** Research comes first where the mission wants it; then the round is asked for again. */
async function askRoundsWithResearch(
  run: RunState,
  loaded: LoadedRun,
  ref: RunRef,
): Promise<PlanRoundResult> {
  const result = await askRounds(run, loaded, ref);
  if (result.status !== 'research-wanted') return result;
  await research(run, loaded, ref, result.research ?? 'shallow');
  return askRounds(run, loaded, ref);
}

function askRounds(run: RunState, loaded: LoadedRun, ref: RunRef): Promise<PlanRoundResult> {
  enter(run, 'calling-llm');
  const due = loaded.dueAtMs === undefined ? {} : { dueAtMs: loaded.dueAtMs };
  const { maxRounds: lastRound } = loaded;
  const input = {
    ...ref,
    round: run.round,
    ...(lastRound === undefined ? {} : { lastRound }),
    ...opened(run, loaded),
    ...due,
  };
  // In the timeline of the Temporal UI; no part of the command that a replay compares.
  return run.by.planner.planRound.executeWithOptions({ summary: `from round ${run.round}` }, [input]);
}

/** With whom and with which key the activities of a round work. */
const opened = (run: RunState, loaded: LoadedRun) => ({
  agentId: loaded.agentId,
  grantUsable: run.grantState === 'usable',
});

/** Research that fails costs the run nothing but its results; the prompt says that there are none. */
async function research(run: RunState, loaded: LoadedRun, ref: RunRef, kind: ResearchKind): Promise<void> {
  enter(run, 'researching');
  const input = { ...ref, kind, ...opened(run, loaded) };
  await orElse(
    async () => {
      const { state } = await run.by.researcher.submitResearch(input);
      if (state === 'submitted') await run.by.researchWaiter.awaitResearch(input);
    },
    () => stage(run, (by) => by.giveUpResearch(input)),
  );
}

/** Where no summary comes about, the rounds go on with the whole conversation. */
async function compact(run: RunState, loaded: LoadedRun, ref: RunRef): Promise<void> {
  const input = { ...ref, round: run.round, ...opened(run, loaded) };
  const { totalTokens } = await orElse(
    () => run.by.compactor.compactTranscript(input),
    () => ({ totalTokens: 0 }),
  );
  run.totalTokens += totalTokens;
}

/** Writes the iteration, or only the next instant; nothing where no gate was passed. */
async function writeBack(run: RunState, result: IterationResult): Promise<WriteIterationResult | null> {
  if (run.ref === null) return null;
  enter(run, 'finalizing');
  const input = {
    ...run.ref,
    startedAtMs: workflowInfo().startTime.getTime(),
    grantUsable: run.grantState === 'usable',
    agentId: run.agentId,
    result,
    thenForget: true as const,
  };
  const written = await stage(run, (by) => by.writeIteration(input));
  run.steps = written.steps;
  run.failureCode = written.failureCode;
  // Of rounds whose activity never returned nothing was heard before; of a compaction the stored rounds do not know.
  run.round = Math.max(run.round, written.rounds ?? 0);
  run.totalTokens = Math.max(run.totalTokens, written.totalTokens ?? 0);
  if (written.forgotten === true) run.ref = null;
  return written;
}

/** In older runs, and where forgetting failed after the outcome was written. */
async function forget(run: RunState): Promise<void> {
  if (run.ref === null) return;
  const { userId, missionId, runId } = run.ref;
  run.ref = null;
  try {
    await stage(run, (by) => by.forgetRun({ userId, missionId, runId }));
  } catch (error) {
    // The run has ended, and the sweep forgets for it; what it came to stands.
    log.warn('the run could not forget; it is swept', { failureType: applicationFailureOf(error)?.type });
  }
}

function finish(run: RunState, outcome: RunOutcome): MissionRunResult {
  run.phase = 'finished';
  const ending = run.failureCode === null ? outcome : `${outcome} (${run.failureCode})`;
  setCurrentDetails(`${ending}, rounds: ${run.round}, steps: ${run.steps}, tokens: ${run.totalTokens}`);
  // One event for both; ids and codes only, search attributes are not encrypted.
  upsertSearchAttributes([
    { key: OUTCOME, value: outcome },
    { key: GRANT_STATE, value: run.grantState },
  ]);
  const { round: rounds, steps, totalTokens, failureCode } = run;
  return { outcome, rounds, steps, totalTokens, failureCode };
}

/** Shown in the Temporal UI; costs no event. */
function enter(run: RunState, phase: RunPhase): void {
  run.phase = phase;
  setCurrentDetails(`phase: ${phase}, round: ${run.round}, tokens: ${run.totalTokens}`);
}

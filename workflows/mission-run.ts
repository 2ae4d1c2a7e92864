import { toIterationId, toMissionId, toUserId, type IterationId } from '#domain/base/ids.ts';
import { defineSearchAttributeKey } from '@temporalio/common';
import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  isCancellation,
  log,
  patched,
  proxyActivities,
  proxyLocalActivities,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import {
  cancelRunSignal,
  runProgressQuery,
  VAULT_TASK_QUEUE,
  type MissionRunInput,
} from '#temporal/messages.ts';
import type { RunnerActivities } from '#activities/runner/activities.ts';
import type { VaultActivities } from '#activities/vault/activities.ts';
import { GRANT_PROBLEMS, type GatewayProblem, type GrantProblem } from '#domain/base/errors.ts';
import { fairnessKeyOf } from '#domain/run/fairness.ts';
import {
  MAX_PLANNER_ROUNDS,
  type EndCause,
  type IterationResult,
  type LoadedRun,
  type LoadRunInput,
  type LoadRunResult,
  type MissionRunResult,
  type PlanRoundResult,
  type ResearchKind,
  type RoundStop,
  type RunFailure,
  type RunOutcome,
  type RunPhase,
  type RunRef,
  type SealResult,
  type WriteIterationResult,
} from '#domain/run/run.ts';
import { SEARCH_ATTRIBUTE_NAMES } from '#domain/run/search-attributes.ts';

const OUTCOME = defineSearchAttributeKey(SEARCH_ATTRIBUTE_NAMES.outcome, 'KEYWORD');
const GRANT_STATE = defineSearchAttributeKey(SEARCH_ATTRIBUTE_NAMES.grantState, 'KEYWORD');
const SCHEDULED_START = defineSearchAttributeKey('TemporalScheduledStartTime', 'DATETIME');

/**
 * Users take turns in the queues; a schedule's action has no priority, so the activities carry it
 * (docs/architecture.md section 5).
 */
const inTurn = (userId: string) => ({ priority: { fairnessKey: fairnessKeyOf(userId) } });

/** Short database work: a marker in the history instead of three events (docs/architecture.md section 6). */
const database = proxyLocalActivities<RunnerActivities>({
  startToCloseTimeout: '30 seconds',
  retry: {
    initialInterval: '500 milliseconds',
    maximumInterval: '30 seconds',
    // What takes longer is done by an activity whose attempts the server counts and shows: `patient`, or for a busy agent
    // one that waits as long as that may take.
    maximumAttempts: 5,
    nonRetryableErrorTypes: ['SLOT_BUSY'],
  },
});

/** Outlasts an hour without the database; after that the run cannot even say that it failed. */
const patientOf = (userId: string) =>
  proxyActivities<RunnerActivities>({
    ...inTurn(userId),
    startToCloseTimeout: '1 minute',
    scheduleToCloseTimeout: '2 hours',
    retry: {
      initialInterval: '5 seconds',
      maximumInterval: '1 minute',
      nonRetryableErrorTypes: ['SLOT_BUSY'],
    },
  });

/** A stage of database work: here and now, or where that fails by an activity that keeps trying. */
async function stage<T>(userId: string, work: (by: RunnerActivities) => Promise<T>): Promise<T> {
  try {
    return await work(database);
  } catch (error) {
    const failure = applicationFailureOf(error);
    if (isCancellation(error) || failure?.nonRetryable === true || failure?.type === 'SLOT_BUSY') throw error;
    return work(patientOf(userId));
  }
}

const vaultOf = (userId: string) =>
  proxyActivities<VaultActivities>({
    taskQueue: VAULT_TASK_QUEUE,
    ...inTurn(userId),
    startToCloseTimeout: '2 minutes',
    scheduleToCloseTimeout: '2 hours',
    // A killed vault worker costs this, not two minutes.
    heartbeatTimeout: '10 seconds',
    // What is sealed after the run has forgotten would stay: a cancelled run waits until sealing has ended.
    cancellationType: 'WAIT_CANCELLATION_COMPLETED',
    retry: { initialInterval: '1 second', maximumInterval: '1 minute' },
  });

/** An hour's brownout of the gateway must not cost the run; its own delays come with each failure. */
const plannerOf = (userId: string) =>
  proxyActivities<RunnerActivities>({
    ...inTurn(userId),
    startToCloseTimeout: '10 minutes',
    scheduleToCloseTimeout: '2 hours',
    heartbeatTimeout: '10 seconds',
    retry: { initialInterval: '1 second', maximumInterval: '5 minutes' },
  });

/** Compacting saves tokens; where it does not come about soon, the rounds go on with the whole conversation. */
const compactorOf = (userId: string) =>
  proxyActivities<RunnerActivities>({
    ...inTurn(userId),
    // As long as a round: what one call may take is a setting.
    startToCloseTimeout: '10 minutes',
    heartbeatTimeout: '10 seconds',
    retry: { initialInterval: '5 seconds', maximumAttempts: 3 },
  });

const researcherOf = (userId: string) =>
  proxyActivities<RunnerActivities>({
    ...inTurn(userId),
    startToCloseTimeout: '3 minutes',
    heartbeatTimeout: '10 seconds',
    retry: { initialInterval: '2 seconds', maximumAttempts: 3 },
  });

/**
 * A deep task takes up to an hour (docs/platform.md section 11): the server counts the attempts, and none of them is an event.
 */
const researchWaiterOf = (userId: string) =>
  proxyActivities<RunnerActivities>({
    ...inTurn(userId),
    startToCloseTimeout: '1 minute',
    heartbeatTimeout: '10 seconds',
    scheduleToCloseTimeout: '65 minutes',
    retry: { initialInterval: '10 seconds', backoffCoefficient: 1.5, maximumInterval: '1 minute' },
  });

/** What a run learns on its way; everything else is passed on from stage to stage. */
interface RunState {
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
  upsertSearchAttributes([{ key: OUTCOME, value: 'stuck' }]);
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
  run.agentId = loaded.agentId;
  const failure = await work(run, loaded, ref);
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
async function work(run: RunState, loaded: LoadedRun, ref: RunRef): Promise<RunFailure | null> {
  if (loaded.tooLarge === true) return { code: 'mission-too-large', phase: 'resolving-inputs' };
  if (loaded.budgetExhausted === true) return { code: 'budget-exhausted', phase: 'resolving-inputs' };
  return (await seal(run, loaded, ref)) ?? (await planRounds(run, loaded, ref));
}

/** Claims and reads the mission; waits where its agent is busy with others. */
async function load(
  run: RunState,
  input: MissionRunInput,
): Promise<LoadRunResult | { outcome: 'agent-busy' | 'given-up'; iterationId: IterationId }> {
  const request = loadRequest(input);
  let busy: SlotBusy;
  try {
    return await stage(input.userId, (by) => by.loadRun(request));
  } catch (error) {
    const failure = applicationFailureOf(error);
    if (failure?.type === 'WORKER_LOST')
      return { outcome: 'given-up', iterationId: toIterationId(String(failure.details?.[0])) };
    if (failure?.type !== 'SLOT_BUSY') throw error;
    busy = slotBusyOf(failure);
  }
  run.ref = refOf(input, busy.iterationId);
  const waiting = proxyActivities<RunnerActivities>({
    ...inTurn(input.userId),
    startToCloseTimeout: '30 seconds',
    scheduleToCloseTimeout: busy.longestWaitMs,
    retry: { initialInterval: '5 seconds', maximumInterval: '1 minute' },
  });
  try {
    return await waiting.loadRun(request);
  } catch (error) {
    if (isCancellation(error) || !(error instanceof ActivityFailure)) throw error;
    const isLost = applicationFailureOf(error)?.type === 'WORKER_LOST';
    return { outcome: isLost ? 'given-up' : 'agent-busy', iterationId: busy.iterationId };
  }
}

interface SlotBusy {
  readonly iterationId: IterationId;
  readonly longestWaitMs: number;
}

const slotBusyOf = (failure: ApplicationFailure): SlotBusy => {
  const [iterationId, longestWaitMs] = failure.details ?? [];
  return { iterationId: toIterationId(String(iterationId)), longestWaitMs: Number(longestWaitMs) };
};

function loadRequest(input: MissionRunInput): LoadRunInput {
  const { workflowId, runId, startTime, typedSearchAttributes } = workflowInfo();
  return {
    ...missionOf(input),
    trigger: input.trigger,
    workflowId,
    runId,
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
  runId: workflowInfo().runId,
});

/** Has the granted records sealed for this run. Unreadable inputs fail no run, unreadable fields of the mission do. */
async function seal(run: RunState, loaded: LoadedRun, ref: RunRef): Promise<RunFailure | null> {
  enter(run, 'resolving-inputs');
  let problem = loaded.grant === 'usable' ? null : loaded.grant;
  if (problem === null) {
    let sealed: SealResult;
    try {
      sealed = await vaultOf(ref.userId).sealInputs(ref);
    } catch (error) {
      if (isCancellation(error) || !(error instanceof ActivityFailure)) throw error;
      const isLost = applicationFailureOf(error)?.type === 'WORKER_LOST';
      return { code: isLost ? 'worker-lost' : 'run-interrupted', phase: 'resolving-inputs' };
    }
    problem = sealed.problem;
    if (problem === null && !sealed.ownFieldsReadable) {
      return { code: 'mission-undecryptable', phase: 'resolving-inputs' };
    }
  }
  run.grantState = problem ?? 'usable';
  if (problem === null || !loaded.ownFieldsEncrypted) return null;
  return { code: `grant-${problem}`, phase: 'resolving-inputs' };
}

/** Asks the model until it calls no more tools, at most `maxRounds` times. */
async function planRounds(run: RunState, loaded: LoadedRun, ref: RunRef): Promise<RunFailure | null> {
  const maxRounds = loaded.maxRounds ?? MAX_PLANNER_ROUNDS;
  for (let round = 1; round <= maxRounds; round += 1) {
    run.round = round;
    let result: PlanRoundResult;
    try {
      result = await planRound(run, loaded, ref);
      if (result.status === 'research-wanted') {
        await research(run, loaded, ref, result.research ?? 'shallow');
        result = await planRound(run, loaded, ref);
      }
    } catch (error) {
      if (isCancellation(error) || !(error instanceof ActivityFailure)) throw error;
      return roundFailure(error);
    }
    run.steps = result.steps;
    run.totalTokens += result.totalTokens;
    if (result.status === 'stopped' || result.status === 'ran-elsewhere') {
      run.stop = result.status;
      return null;
    }
    const failure = failureOf(run, result);
    if (failure !== null) return failure;
    if (result.status !== 'continue') return null;
    if (result.compact === true && round < maxRounds) await compact(run, loaded, ref);
  }
  return null;
}

function planRound(run: RunState, loaded: LoadedRun, ref: RunRef): Promise<PlanRoundResult> {
  enter(run, 'calling-llm');
  const due = loaded.dueAtMs === undefined ? {} : { dueAtMs: loaded.dueAtMs };
  return plannerOf(ref.userId).planRound({ ...ref, round: run.round, ...opened(run, loaded), ...due });
}

/** With whom and with which key the activities of a round work. */
const opened = (run: RunState, loaded: LoadedRun) => ({
  agentId: loaded.agentId,
  grantUsable: run.grantState === 'usable',
});

/** A round that ended without a plan, in the words of the iteration; a plan that is cut short is still one. */
function failureOf({ grantState }: RunState, { status, steps }: PlanRoundResult): RunFailure | null {
  const phase = 'calling-llm';
  const opening = 'resolving-inputs';
  if (status === 'key-changed') return { code: 'grant-key-changed', phase: opening };
  if (status === 'mission-empty') return { code: status, phase: opening };
  if (status === 'mission-undecryptable') {
    // Without a grant it was the lack of one: the words were in clear when the run began.
    const isGranted = grantState === 'usable' || grantState === null;
    return { code: isGranted ? status : `grant-${grantState}`, phase: opening };
  }
  if (status === 'transcript-lost' || status === 'research-wanted') return { code: 'run-interrupted', phase };
  if (status === 'content-filtered') return { code: 'content-filtered', phase };
  return status === 'budget-exhausted' && steps === 0 ? { code: 'budget-exhausted', phase } : null;
}

/** Research that fails costs the run nothing but its results; the prompt says that there are none. */
async function research(run: RunState, loaded: LoadedRun, ref: RunRef, kind: ResearchKind): Promise<void> {
  enter(run, 'researching');
  const input = { ...ref, kind, ...opened(run, loaded) };
  try {
    const { state } = await researcherOf(ref.userId).submitResearch(input);
    if (state === 'submitted') await researchWaiterOf(ref.userId).awaitResearch(input);
  } catch (error) {
    if (isCancellation(error) || !(error instanceof ActivityFailure)) throw error;
    await stage(ref.userId, (by) => by.giveUpResearch(input));
  }
}

async function compact(run: RunState, loaded: LoadedRun, ref: RunRef): Promise<void> {
  const input = { ...ref, round: run.round, ...opened(run, loaded) };
  try {
    const { totalTokens } = await compactorOf(ref.userId).compactTranscript(input);
    run.totalTokens += totalTokens;
  } catch (error) {
    if (isCancellation(error) || !(error instanceof ActivityFailure)) throw error;
  }
}

/** What the activity gave up with, in the words of the iteration. */
function roundFailure(error: ActivityFailure): RunFailure {
  const failure = applicationFailureOf(error);
  const phase = 'calling-llm';
  if (failure?.type === 'GRANT_UNUSABLE') return { code: `grant-${grantProblem(failure)}`, phase };
  if (failure?.type === 'WORKER_LOST') return { code: 'worker-lost', phase };
  if (failure?.type === 'GATEWAY_REJECTED') return { code: 'gateway-rejected', phase };
  if (failure?.type === 'WINDOW_TOO_SMALL') return { code: 'window-too-small', phase };
  // No user can mend the operator's keys: to them the service is not there.
  if (failure?.type === 'GATEWAY_UNAVAILABLE' || failure?.type === 'GATEWAY_DENIED')
    return { code: hasAnswered(failure) ? 'unreadable-reply' : 'gateway-unavailable', phase };
  // Other runs of the agent held what was left of its budget for all that time.
  if (failure?.type === 'BUDGET_RESERVED') return { code: 'budget-exhausted', phase };
  return { code: 'run-interrupted', phase };
}

/** A 200 that held nothing to read: whoever is told that the service was not there would look in the wrong place. */
const hasAnswered = (failure: ApplicationFailure): boolean => {
  const problem = failure.details?.[0] as Partial<GatewayProblem> | undefined;
  return problem?.status === 200;
};

const grantProblem = (failure: ApplicationFailure): GrantProblem =>
  GRANT_PROBLEMS.find((problem) => problem === failure.details?.[0]) ?? 'unknown';

/** What an activity threw: a regular one's comes wrapped, a local one's comes as it is. */
function applicationFailureOf(error: unknown): ApplicationFailure | null {
  const thrown = error instanceof ActivityFailure ? error.cause : error;
  return thrown instanceof ApplicationFailure ? thrown : null;
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
  };
  const written = await stage(input.userId, (by) => by.writeIteration(input));
  run.steps = written.steps;
  run.failureCode = written.failureCode;
  return written;
}

async function forget(run: RunState): Promise<void> {
  if (run.ref === null) return;
  const { userId, missionId, runId } = run.ref;
  run.ref = null;
  try {
    await stage(userId, (by) => by.forgetRun({ userId, missionId, runId }));
  } catch (error) {
    // The run has ended, and the sweep forgets for it; what it came to stands.
    log.warn('the run could not forget; it is swept', { failureType: applicationFailureOf(error)?.type });
  }
}

function finish(run: RunState, outcome: RunOutcome): MissionRunResult {
  enter(run, 'finished');
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

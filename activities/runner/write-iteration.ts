import { countedStage } from './counted-stage.ts';
import type { RunnerDependencies } from './dependencies.ts';
import { iterationRow, mayBeWritten } from './claim-instant.ts';
import { readMissionOfRunEvenDeleted } from './run-scope.ts';
import { settleEndedRun } from './token-budget.ts';
import { endOf, outcomeOf, resultOf, type Outcome } from './run-outcome.ts';
import { eventIdOf, iterationIdOf } from '#crypto/derived-ids.ts';
import type { UserTransaction } from '#db/client.ts';
import { lockMission } from '#db/mission-lock.ts';
import { readAgent, type ReadMission } from '#db/missions.ts';
import { putMissionAside } from '#db/schedule-state.ts';
import { withIterations } from '#db/record-rows.ts';
import { beginStage, endStage, holdsSlot } from '#db/run-slots.ts';
import { releaseAndForget } from '#db/run-storage.ts';
import { changeExists, insertMissionUpdate, type MissionUpdate } from '#db/sync-changes.ts';
import { readClockAndZone } from '#db/time-zones.ts';
import { unknownTokensOfIteration } from '#db/token-usage.ts';
import { SYSTEM_ACTOR } from '#domain/wire/actor.ts';
import type { Agent } from '#domain/wire/agent.ts';
import { EventIdConflictError } from '#domain/base/errors.ts';
import { fieldTimeMicros } from '#domain/change-log/field-merge.ts';
import { parseGrant } from '#domain/wire/grant.ts';
import type { IterationId } from '#domain/base/ids.ts';
import { formatInstant, instantMs } from '#domain/base/instant.ts';
import {
  endedIteration,
  failedIteration,
  iterationsOfChange,
  plannedIteration,
  resultOfIteration,
} from '#domain/iteration/iterations.ts';
import { RUNNER_CLIENT_ID, writerTime } from '#domain/wire/rows.ts';
import type { ServerIteration, PlanStep } from '#domain/wire/iteration.ts';
import {
  isStopped,
  type EndCause,
  type WriteIterationInput,
  type WriteIterationResult,
} from '#domain/run/run.ts';
import { nextRunAtAfter } from '#domain/cadence/next-run.ts';
import { summaryOfRounds, wireSteps } from '#domain/planner/plan/iteration-summary.ts';
import type { PromptLanguage } from '#domain/base/language.ts';
import { stepsOfRounds, type StoredRound } from '#domain/planner/plan/stored-round.ts';
import { storableJson } from '#domain/base/json.ts';
import { budgetText, grantEndsFirstText, noticeText, USER_TEXTS } from '#domain/planner/plan/user-texts.ts';
import { failureText } from '#domain/run/failure-texts.ts';
import { countInjectionMarks } from '#metrics/injection.ts';
import { countPutAside } from '#metrics/put-aside.ts';
import { countOutcome } from '#metrics/runs.ts';

/**
 * Writes the outcome of a run into the change log, exactly once: one update row with a deterministic id, under the
 * mission's lock, after re-reading what stands there now (docs/architecture.md section 4, point 5). The row is the last
 * statement before the commit, and its `created_at` is the clock at that statement.
 *
 * A run that is to forget then does so in the same transaction, where its claim has ended with it. What was written stands if that
 * fails.
 *
 * @param onFailure hears why the run could not forget
 * @throws WorkerLostError, TurnTakenError see `countedStage`
 * @throws EventIdConflictError when another user's row holds the event id
 */
export async function writeIteration(
  deps: RunnerDependencies,
  input: WriteIterationInput,
  onFailure: (error: unknown) => void = () => undefined,
): Promise<WriteIterationResult> {
  const userId = input.userId;
  const { lost } = await deps.database.asUser(userId, (tx) => beginStage(tx, input, 'end'));
  const stage = {
    ...{ name: 'writeIteration' as const, part: 'end' as const, lost, iterationId: input.iterationId },
    onGivenUp: (tx: UserTransaction) => putMissionAside(tx, input.missionId),
  };
  const { result, isNew, outcome } = await countedStage(deps.database, userId, input, stage, () =>
    deps.database.asUser(userId, (tx) => writeOnce(deps, tx, input, onFailure)),
  );
  // Only now: what a transaction that did not commit found is found again.
  if (isNew) countOutcome(result);
  if (isNew && outcome?.kind === 'planned') countMarks(outcome.rounds);
  return result;
}

interface Written {
  readonly result: WriteIterationResult;
  readonly isNew: boolean;
  /** Null when there was nothing to write any more. */
  readonly outcome: Outcome | null;
}

async function writeOnce(
  deps: RunnerDependencies,
  tx: UserTransaction,
  input: WriteIterationInput,
  onFailure: (error: unknown) => void,
): Promise<Written> {
  lockMission(tx, input.missionId);
  endStage(tx, input, 'end', 0);
  // A run that writes back asks nothing more: what it has reserved was spent, and the outcome tells its user so.
  const [read] = await Promise.all([readMissionOfRunEvenDeleted(tx, input), settleEndedRun(tx, input.runId)]);
  if (read === null) return { result: GONE, isNew: false, outcome: null };
  const written =
    input.result.kind === 'advance-only' ? null : await writtenBefore(tx, read, input.iterationId);
  if (written !== null) {
    const forgotten = await tryToForget(tx, input, onFailure);
    return { result: { ...written, ...forgotten }, isNew: false, outcome: null };
  }
  const outcome = await outcomeNow(deps, tx, input, read);
  // A late attempt of a run that is over, of which nothing is to be told: the instant that has passed by now is the next run's.
  const isOver = outcome.kind === 'advance-only' && !(await holdsSlot(tx, input));
  const clock = await readClockAndZone(tx, input.missionId);
  const row = isOver ? null : await rowOf(tx, input, read, outcome, clock);
  // Before the row, which is the last statement: a claim that it does not end is ended by whoever forgets.
  const forgotten = outcome.kind === 'advance-only' ? {} : await tryToForget(tx, input, onFailure);
  const isNew = row === null || (await insertMissionUpdate(tx, row));
  if (!isNew && !(await changeExists(tx, row.changeId))) throw new EventIdConflictError();
  return { result: { ...(read.isDeleted ? GONE : resultOf(outcome)), ...forgotten }, isNew, outcome };
}

async function tryToForget(
  tx: UserTransaction,
  input: WriteIterationInput,
  onFailure: (error: unknown) => void,
): Promise<Pick<WriteIterationResult, 'forgotten'>> {
  if (input.thenForget !== true) return {};
  try {
    await tx.savepoint(() => {
      releaseAndForget(tx, input);
      return Promise.resolve();
    });
    return { forgotten: true };
  } catch (error) {
    onFailure(error);
    return {};
  }
}

const GONE: WriteIterationResult = { outcome: 'mission-gone', steps: 0, failureCode: null };

async function outcomeNow(
  deps: RunnerDependencies,
  tx: UserTransaction,
  input: WriteIterationInput,
  read: ReadMission,
): Promise<Outcome> {
  if (!mayBeWritten(read)) {
    countPutAside('mission');
    return { kind: 'advance-only' };
  }
  const { result, agentId = null } = input;
  const ended = (cause: EndCause): Promise<Outcome> => endOf(deps, tx, input, read, cause);
  if (result.kind === 'advance-only') return ended(result.cause ?? 'stopped');
  const agent = agentId === null ? null : ((await readAgent(tx, agentId))?.agent ?? null);
  // The row leaves the tombstone where it is: who takes that away finds a run that has ended.
  if (read.isDeleted || isStopped(read.mission, agentId, agent)) return ended('stopped');
  return outcomeOf(deps, tx, input, read);
}

const countMarks = (rounds: readonly StoredRound[]): void =>
  countInjectionMarks({
    inputs: rounds.flatMap((round) => round.flaggedInputs).flatMap(({ marks }) => marks),
    steps: stepsOfRounds(rounds).flatMap(({ flags = [] }) => flags),
    droppedSteps: rounds
      .flatMap((round) => round.notices)
      .reduce((sum, notice) => sum + (notice.kind === 'dropped-steps' ? notice.count : 0), 0),
  });

/**
 * What an earlier attempt wrote, whose acknowledgement was lost: its row says what became of the run, even if the grant
 * has ended since.
 */
async function writtenBefore(
  tx: UserTransaction,
  read: ReadMission,
  iterationId: IterationId,
): Promise<WriteIterationResult | null> {
  const changeId = eventIdOf(iterationId);
  const row = read.rows.find(({ id, clientId }) => id === changeId && clientId === RUNNER_CLIENT_ID);
  const [whole] = row === undefined ? [] : await withIterations(tx, [row]);
  const iterations = whole === undefined ? [] : iterationsOfChange(whole);
  const iteration = iterations.find(({ id }) => id === iterationId);
  return iteration === undefined ? null : resultOfIteration(iteration);
}

/** The row to write, or null when there is nothing to say: no iteration, and the next instant stands as it is. */
async function rowOf(
  tx: UserTransaction,
  input: WriteIterationInput,
  read: ReadMission,
  outcome: Outcome,
  { nowMs, timeZone }: Awaited<ReturnType<typeof readClockAndZone>>,
): Promise<MissionUpdate | null> {
  // Of a mission that was stopped nothing but the claim's end is written.
  const isActive = read.mission.state === 'active' && !read.isDeleted;
  const nextRunAt = isActive ? nextRunAtAfter(read.mission, nowMs, timeZone) : undefined;
  const grantNote =
    outcome.kind === 'advance-only'
      ? null
      : grantNoteOf(input, read, { nextRunAt, timeZone: timeZone ?? 'UTC', language: outcome.language });
  const agentId = outcome.kind === 'advance-only' ? null : read.mission.agentId;
  const agent = agentId === null ? null : ((await readAgent(tx, agentId))?.agent ?? null);
  const iteration =
    outcome.kind === 'advance-only'
      ? null
      : iterationOf(input, outcome, nowMs, {
          agent,
          notes: [await unknownSpendNoteOf(tx, input, outcome), grantNote],
        });
  if (iteration !== null) {
    const changeId = eventIdOf(input.iterationId);
    return iterationRow(read, iteration, { changeId, nextRunAt, agent, nowMs });
  }
  if (nextRunAt === undefined) return null;
  return {
    changeId: advanceIdOf(input),
    missionId: input.missionId,
    spaceId: read.spaceId,
    data: { nextRunAt },
    fieldMeta: { nextRunAt: writerTime(nowMs, fieldTimeMicros(read.merged, 'nextRunAt')) },
    actor: { ...SYSTEM_ACTOR },
    origin: 'system',
  };
}

/**
 * An iteration is written once for its due instant, whichever run does it. Merely advancing may be needed again, when a
 * device has put an old instant back: it is written once for each run.
 */
const advanceIdOf = ({ iterationId, runId }: WriteIterationInput): string =>
  eventIdOf(iterationIdOf(JSON.stringify(['advance', iterationId, runId])));

function iterationOf(
  input: WriteIterationInput,
  outcome: Exclude<Outcome, { kind: 'advance-only' }>,
  nowMs: number,
  told: { readonly agent: Agent | null; readonly notes: readonly (string | null)[] },
): ServerIteration {
  const times = {
    iterationId: input.iterationId,
    startedAtIso: formatInstant(input.startedAtMs),
    finishedAtIso: formatInstant(Math.max(nowMs, input.startedAtMs)),
  };
  if (outcome.kind === 'failed') {
    const { code } = outcome.failure;
    const text =
      code === 'budget-exhausted'
        ? budgetText(outcome.language, told.agent)
        : failureText(outcome.language, code);
    const failed = failedIteration(times, outcome.failure, text);
    // A failure of the grant itself already says what to do about it.
    return code.startsWith('grant-') ? failed : withNotes(failed, told.notes);
  }
  if (outcome.kind === 'ended') return endedBy(times, outcome.cause, outcome.language);
  const steps = wireSteps(stepsOfRounds(outcome.rounds)).map((step) => storableJson(step) as PlanStep);
  const summary = String(storableJson(summaryOfRounds(outcome.rounds, outcome.language)));
  return withNotes(plannedIteration(times, steps, summary), told.notes);
}

const CODE_OF_CAUSE = {
  cancelled: 'run-cancelled',
  stopped: 'run-stopped',
  'agent-busy': 'agent-busy',
} as const;

/** The claim's end. A browser that was faster is no failure. */
function endedBy(
  times: Parameters<typeof endedIteration>[0],
  cause: EndCause,
  language: PromptLanguage,
): ServerIteration {
  if (cause === 'ran-elsewhere') return endedIteration(times, USER_TEXTS[language].ranElsewhere);
  const code = CODE_OF_CAUSE[cause];
  return failedIteration(times, { code, phase: 'finalizing' }, failureText(language, code));
}

const withNotes = (iteration: ServerIteration, notes: readonly (string | null)[]): ServerIteration => ({
  ...iteration,
  summary: [iteration.summary, ...notes.filter((note) => note !== null)].join('\n\n'),
});

/** A plan tells of it by its rounds' notices; of a run that failed, the round that cost something has none. */
async function unknownSpendNoteOf(
  tx: UserTransaction,
  { iterationId }: WriteIterationInput,
  outcome: Exclude<Outcome, { kind: 'advance-only' }>,
): Promise<string | null> {
  if (outcome.kind !== 'failed') return null;
  const estimatedTokens = await unknownTokensOfIteration(tx, iterationId);
  return estimatedTokens === 0
    ? null
    : noticeText(outcome.language, { kind: 'unknown-spend', estimatedTokens });
}

/** What the user has to know of a grant that ends before it is needed again; null when there is nothing to say. */
function grantNoteOf(
  input: WriteIterationInput,
  read: ReadMission,
  after: {
    readonly nextRunAt: string | null | undefined;
    readonly timeZone: string;
    readonly language: PromptLanguage;
  },
): string | null {
  if (!input.grantUsable) return null;
  const nextRunAtMs = instantMs(after.nextRunAt === undefined ? read.mission.nextRunAt : after.nextRunAt);
  // Of the next run's grant, which is the record's.
  const expiresAtMs = instantMs(parseGrant(read.merged.record['grant'])?.expiresAt);
  if (nextRunAtMs === null || expiresAtMs === null || expiresAtMs > nextRunAtMs) return null;
  return grantEndsFirstText(after.language, expiresAtMs, nextRunAtMs, after.timeZone);
}

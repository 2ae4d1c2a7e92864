import { begin, countedStage } from './counted-stage.ts';
import type { RunnerDependencies } from './dependencies.ts';
import { readMissionOfRun } from './open-mission.ts';
import { outcomeOf, resultOf } from './run-outcome.ts';
import type { Outcome } from './run-outcome.ts';
import { eventIdOf, iterationIdOf } from '../../crypto/derived-ids.ts';
import type { UserTransaction } from '../../db/client.ts';
import { lockMission } from '../../db/mission-lock.ts';
import { readAgent } from '../../db/missions.ts';
import type { ReadMission } from '../../db/missions.ts';
import { withIterations } from '../../db/record-rows.ts';
import { endStage } from '../../db/run-slots.ts';
import { changeExists, insertMissionUpdate, readClockMs } from '../../db/sync-changes.ts';
import type { MissionUpdate } from '../../db/sync-changes.ts';
import { timeZoneOfMission } from '../../db/time-zones.ts';
import { unknownTokensOfIteration } from '../../db/token-usage.ts';
import { aiActor, SYSTEM_ACTOR } from '../../domain/actor.ts';
import type { Agent } from '../../domain/agent.ts';
import { EventIdConflictError } from '../../domain/errors.ts';
import { fieldTimeMicros } from '../../domain/field-merge.ts';
import { parseGrant } from '../../domain/grant.ts';
import { toIterationId, toMissionId, toUserId } from '../../domain/ids.ts';
import type { UserId } from '../../domain/ids.ts';
import { formatInstant, instantMs } from '../../domain/instant.ts';
import {
  failedIteration,
  iterationsOfChange,
  plannedIteration,
  resultOfIteration,
  RUNNER_CLIENT_ID,
  withIteration,
} from '../../domain/iterations.ts';
import type { ServerIteration } from '../../domain/iterations.ts';
import { nextRunAtAfter } from '../../domain/next-run.ts';
import { summaryOfRounds, wireSteps } from '../../domain/iteration-summary.ts';
import type { PromptLanguage } from '../../domain/language.ts';
import type { PlanStep } from '../../domain/plan.ts';
import { stepsOf } from '../../domain/round-entry.ts';
import type { RoundEntry } from '../../domain/round-entry.ts';
import type { WriteIterationInput, WriteIterationResult } from '../../domain/run.ts';
import { storableJson } from '../../domain/storable-json.ts';
import { budgetText, failureText, grantEndsFirstText, noticeText } from '../../domain/user-texts.ts';
import { writerTime } from '../../domain/writer-time.ts';
import { countInjectionMarks } from '../../metrics/injection.ts';
import { countPutAside } from '../../metrics/put-aside.ts';

/**
 * Writes the outcome of a run into the change log, exactly once: one update row with a deterministic id, under the
 * mission's lock, after re-reading what stands there now (architecture section 4, point 5). The row is the last
 * statement before the commit, and its `created_at` is the clock at that statement.
 *
 * @throws WorkerLostError, TurnTakenError see `countedStage`
 * @throws EventIdConflictError when another user's row holds the event id
 */
export async function writeIteration(
  deps: RunnerDependencies,
  input: WriteIterationInput,
): Promise<WriteIterationResult> {
  const userId = toUserId(input.userId);
  const { begun } = await begin(deps.database, userId, input);
  const stage = { name: 'writeIteration', begun, iterationId: input.iterationId };
  const { result, isNew, outcome } = await countedStage(deps.database, userId, input, stage, () =>
    deps.database.asUser(userId, (tx) => writeOnce(deps, tx, userId, input)),
  );
  // Only now: what a transaction that did not commit found is found again.
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
  userId: UserId,
  input: WriteIterationInput,
): Promise<Written> {
  await lockMission(tx, userId, toMissionId(input.missionId));
  await endStage(tx, userId, input, 0);
  const read = await readMissionOfRun(tx, userId, input);
  const before = (result: WriteIterationResult): Written => ({ result, isNew: false, outcome: null });
  if (read === null) return before({ outcome: 'mission-gone', steps: 0, failureCode: null });
  const written =
    input.result.kind === 'advance-only' ? null : await writtenBefore(tx, userId, read, input.iterationId);
  if (written !== null) return before(written);
  const outcome = mayBeWritten(read)
    ? await outcomeOf(deps, tx, userId, input, read)
    : ({ kind: 'advance-only' } as const);
  const nowMs = await readClockMs(tx);
  const row = await rowOf(tx, userId, input, read, outcome, nowMs);
  const isNew = row === null || (await insertMissionUpdate(tx, userId, row));
  if (!isNew && !(await changeExists(tx, userId, row.changeId))) throw new EventIdConflictError();
  return { result: resultOf(outcome), isNew, outcome };
}

/** Arrays come whole: where the present one is too large to be read, another would take it away from the user. */
function mayBeWritten({ tooLarge }: ReadMission): boolean {
  const isUnread = tooLarge.some((field) => field === '*' || field.startsWith('iterations'));
  if (isUnread) countPutAside('mission');
  return !isUnread;
}

const countMarks = (rounds: readonly RoundEntry[]): void =>
  countInjectionMarks({
    inputs: rounds.flatMap((round) => round.flaggedInputs).flatMap(({ marks }) => marks),
    steps: stepsOf(rounds).flatMap(({ flags = [] }) => flags),
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
  userId: UserId,
  read: ReadMission,
  iterationId: string,
): Promise<WriteIterationResult | null> {
  const changeId = eventIdOf(toIterationId(iterationId));
  const row = read.rows.find(({ id, clientId }) => id === changeId && clientId === RUNNER_CLIENT_ID);
  const [whole] = row === undefined ? [] : await withIterations(tx, userId, [row]);
  const iterations = whole === undefined ? [] : iterationsOfChange(whole);
  const iteration = iterations.find(({ id }) => id === iterationId);
  return iteration === undefined ? null : resultOfIteration(iteration);
}

/** The row to write, or null when there is nothing to say: no iteration, and the next instant stands as it is. */
async function rowOf(
  tx: UserTransaction,
  userId: UserId,
  input: WriteIterationInput,
  read: ReadMission,
  outcome: Outcome,
  nowMs: number,
): Promise<MissionUpdate | null> {
  const timeZone = await timeZoneOfMission(tx, userId, toMissionId(input.missionId));
  const nextRunAt = nextRunAtAfter(read.mission, nowMs, timeZone);
  const grantNote =
    outcome.kind === 'advance-only'
      ? null
      : grantNoteOf(input, read, { nextRunAt, timeZone: timeZone ?? 'UTC', language: outcome.language });
  const agentId = outcome.kind === 'advance-only' ? null : read.mission.agentId;
  const agent = agentId === null ? null : ((await readAgent(tx, userId, agentId))?.agent ?? null);
  const iteration =
    outcome.kind === 'advance-only'
      ? null
      : iterationOf(input, outcome, nowMs, {
          agent,
          notes: [await unknownSpendNoteOf(tx, userId, input, outcome), grantNote],
        });
  const data = {
    ...(iteration === null ? {} : { iterations: withIteration(read.merged.record['iterations'], iteration) }),
    ...(nextRunAt === undefined ? {} : { nextRunAt }),
  };
  if (Object.keys(data).length === 0) return null;
  return {
    changeId: changeIdOf(input, iteration !== null),
    missionId: input.missionId,
    spaceId: read.spaceId,
    data,
    fieldMeta: Object.fromEntries(
      Object.keys(data).map((field) => [field, writerTime(nowMs, fieldTimeMicros(read.merged, field))]),
    ),
    actor: {
      ...(iteration === null ? SYSTEM_ACTOR : aiActor(agent, input.missionId, iteration.id)),
    },
    origin: iteration === null ? 'system' : 'agent',
  };
}

/**
 * An iteration is written once for its due instant, whichever run does it. Merely advancing may be needed again, when a
 * device has put an old instant back: it is written once for each run.
 */
const changeIdOf = (input: WriteIterationInput, hasIteration: boolean): string =>
  eventIdOf(
    hasIteration
      ? toIterationId(input.iterationId)
      : iterationIdOf(JSON.stringify(['advance', input.iterationId, input.runId])),
  );

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
  const steps = wireSteps(stepsOf(outcome.rounds)).map((step) => storableJson(step) as PlanStep);
  const summary = String(storableJson(summaryOfRounds(outcome.rounds, outcome.language)));
  return withNotes(plannedIteration(times, steps, summary), told.notes);
}

const withNotes = (iteration: ServerIteration, notes: readonly (string | null)[]): ServerIteration => ({
  ...iteration,
  summary: [iteration.summary, ...notes.filter((note) => note !== null)].join('\n\n'),
});

/** A plan tells of it by its rounds' notices; of a run that failed, the round that cost something has none. */
async function unknownSpendNoteOf(
  tx: UserTransaction,
  userId: UserId,
  { iterationId }: WriteIterationInput,
  outcome: Exclude<Outcome, { kind: 'advance-only' }>,
): Promise<string | null> {
  if (outcome.kind !== 'failed') return null;
  const estimatedTokens = await unknownTokensOfIteration(tx, userId, iterationId);
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

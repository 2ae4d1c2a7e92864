import type { RunnerDependencies } from './dependencies.ts';
import { missionDataKey, readRounds, runKey } from './transcript.ts';
import { eventIdOf, iterationIdOf } from '../../crypto/derived-ids.ts';
import type { UserTransaction } from '../../db/client.ts';
import { lockMission } from '../../db/mission-lock.ts';
import { readAgent, readMission } from '../../db/missions.ts';
import type { ReadMission } from '../../db/missions.ts';
import { changeExists, insertMissionUpdate, readClockMs } from '../../db/sync-changes.ts';
import type { MissionUpdate } from '../../db/sync-changes.ts';
import { timeZoneOfMission } from '../../db/time-zones.ts';
import { aiActor, SYSTEM_ACTOR } from '../../domain/actor.ts';
import { EventIdConflictError, GrantUnusableError } from '../../domain/errors.ts';
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
import { summaryOf } from '../../domain/plan.ts';
import type { PlanStep } from '../../domain/plan.ts';
import { stepsOf } from '../../domain/round-entry.ts';
import type { RoundEntry } from '../../domain/round-entry.ts';
import type { RunFailure, WriteIterationInput, WriteIterationResult } from '../../domain/run.ts';
import { storableJson } from '../../domain/storable-json.ts';
import {
  FAILURE_TEXTS,
  grantEndsFirstText,
  planText,
  unreadableInputsText,
} from '../../domain/user-texts.ts';
import { writerTime } from '../../domain/writer-time.ts';

/**
 * Writes the outcome of a run into the change log, exactly once: one update row with a deterministic id, under the
 * mission's lock, after re-reading what stands there now (architecture section 4, point 5). The row is the last
 * statement before the commit, and its `created_at` is the clock at that statement.
 *
 * @throws EventIdConflictError when another user's row holds the event id
 */
export async function writeIteration(
  deps: RunnerDependencies,
  input: WriteIterationInput,
): Promise<WriteIterationResult> {
  const userId = toUserId(input.userId);
  return deps.database.asUser(userId, async (tx) => {
    await lockMission(tx, userId, toMissionId(input.missionId));
    const read = await readMission(tx, userId, input.missionId);
    if (read === null) return { outcome: 'mission-gone', steps: 0, failureCode: null };
    const written = input.result.kind === 'advance-only' ? null : writtenBefore(read, input.iterationId);
    if (written !== null) return written;
    const outcome = await outcomeOf(deps, tx, userId, input, read);
    const nowMs = await readClockMs(tx);
    const row = await rowOf(tx, userId, input, read, outcome, nowMs);
    const isNew = row === null || (await insertMissionUpdate(tx, userId, row));
    if (!isNew && !(await changeExists(tx, userId, row.changeId))) throw new EventIdConflictError();
    return resultOf(outcome);
  });
}

/**
 * What an earlier attempt wrote, whose acknowledgement was lost: its row says what became of the run, even if the grant
 * has ended since.
 */
function writtenBefore(read: ReadMission, iterationId: string): WriteIterationResult | null {
  const changeId = eventIdOf(toIterationId(iterationId));
  const row = read.rows.find(({ id, clientId }) => id === changeId && clientId === RUNNER_CLIENT_ID);
  const iterations = row === undefined ? [] : iterationsOfChange(row);
  const iteration = iterations.find(({ id }) => id === iterationId);
  return iteration === undefined ? null : resultOfIteration(iteration);
}

/** What is to be written, once the transcript is open. */
type Outcome =
  | { readonly kind: 'planned'; readonly rounds: readonly RoundEntry[] }
  | { readonly kind: 'failed'; readonly failure: RunFailure }
  | { readonly kind: 'advance-only' };

/** A plan whose transcript no longer opens (the grant ended in the last moment) becomes a failure that says so. */
async function outcomeOf(
  deps: RunnerDependencies,
  tx: UserTransaction,
  userId: UserId,
  input: WriteIterationInput,
  read: ReadMission,
): Promise<Outcome> {
  if (input.result.kind !== 'planned') return input.result;
  const failed = (code: RunFailure['code']): Outcome => ({
    kind: 'failed',
    failure: { code, phase: 'finalizing' },
  });
  let key: Buffer;
  try {
    key = input.grantUsable
      ? await missionDataKey(deps, tx, userId, read.mission.grant)
      : await runKey(deps, tx, userId, input);
  } catch (error) {
    if (error instanceof GrantUnusableError) return failed(`grant-${error.problem}`);
    throw error;
  }
  try {
    const rounds = await readRounds(tx, userId, input, key);
    if (rounds.length === 0) return failed('run-interrupted');
    return { kind: 'planned', rounds };
  } finally {
    key.fill(0);
  }
}

function resultOf(outcome: Outcome): WriteIterationResult {
  if (outcome.kind === 'advance-only') return { outcome: 'advanced', steps: 0, failureCode: null };
  if (outcome.kind === 'failed') return { outcome: 'failed', steps: 0, failureCode: outcome.failure.code };
  const steps = stepsOf(outcome.rounds).length;
  return { outcome: steps === 0 ? 'empty-plan' : 'planned', steps, failureCode: null };
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
  const grantNote = grantNoteOf(input, read, nextRunAt, timeZone ?? 'UTC');
  const iteration = outcome.kind === 'advance-only' ? null : iterationOf(input, outcome, nowMs, grantNote);
  const data = {
    ...(iteration === null ? {} : { iterations: withIteration(read.merged.record['iterations'], iteration) }),
    ...(nextRunAt === undefined ? {} : { nextRunAt }),
  };
  if (Object.keys(data).length === 0) return null;
  const agentId = iteration === null ? null : read.mission.agentId;
  const agent = agentId === null ? null : await readAgent(tx, userId, agentId);
  return {
    changeId: changeIdOf(input, iteration !== null),
    missionId: input.missionId,
    spaceId: read.spaceId,
    data,
    fieldMeta: Object.fromEntries(
      Object.keys(data).map((field) => [field, writerTime(nowMs, fieldTimeMicros(read.merged, field))]),
    ),
    actor: {
      ...(iteration === null ? SYSTEM_ACTOR : aiActor(agent?.agent ?? null, input.missionId, iteration.id)),
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
  grantNote: string | null,
): ServerIteration {
  const times = {
    iterationId: input.iterationId,
    startedAtIso: formatInstant(input.startedAtMs),
    finishedAtIso: formatInstant(Math.max(nowMs, input.startedAtMs)),
  };
  if (outcome.kind === 'failed') {
    const { code } = outcome.failure;
    const failed = failedIteration(times, outcome.failure, FAILURE_TEXTS[code]);
    // A failure of the grant itself already says what to do about it.
    return code.startsWith('grant-') ? failed : withNote(failed, grantNote);
  }
  const steps = stepsOf(outcome.rounds).map((step) => storableJson(step) as PlanStep);
  const planned = plannedIteration(times, steps, String(storableJson(summaryOfRounds(outcome.rounds))));
  return withNote(planned, grantNote);
}

const withNote = (iteration: ServerIteration, note: string | null): ServerIteration =>
  note === null ? iteration : { ...iteration, summary: `${iteration.summary}\n\n${note}` };

/** What the user has to know of a grant that ends before it is needed again; null when there is nothing to say. */
function grantNoteOf(
  input: WriteIterationInput,
  read: ReadMission,
  newNextRunAt: string | null | undefined,
  timeZone: string,
): string | null {
  if (!input.grantUsable) return null;
  const nextRunAtMs = instantMs(newNextRunAt === undefined ? read.mission.nextRunAt : newNextRunAt);
  const expiresAtMs = instantMs(parseGrant(read.mission.grant)?.expiresAt);
  if (nextRunAtMs === null || expiresAtMs === null || expiresAtMs > nextRunAtMs) return null;
  return grantEndsFirstText(expiresAtMs, nextRunAtMs, timeZone);
}

/** The model's last words, and what it could not see. */
function summaryOfRounds(rounds: readonly RoundEntry[]): string {
  const words = rounds.map((round) => summaryOf(round.reply)).findLast((text) => text !== null) ?? null;
  const unreadable = rounds.flatMap((round) => round.unreadableInputs);
  return [
    words ?? planText(stepsOf(rounds).length),
    unreadable.length === 0 ? null : unreadableInputsText(unreadable),
  ]
    .filter((part) => part !== null)
    .join('\n\n');
}

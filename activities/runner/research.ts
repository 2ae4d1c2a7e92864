import type { RunnerDependencies } from './dependencies.ts';
import { inScope, type RunScope } from './run-scope.ts';
import { readWords, type RunWords } from './run-contents.ts';
import { persistently } from './persistently.ts';
import { readNote, storeNote } from './run-notes.ts';
import { researchIdempotencyKey } from '#crypto/derived-ids.ts';
import type { UserTransaction } from '#db/client.ts';
import {
  dropTaskOfServiceBefore,
  dropTakenOver,
  failResearchTask,
  finishResearchTask,
  insertResearchTask,
  readResearchTask,
  readTaskOfServiceBefore,
  recordSubmission,
  takeBackResearchTask,
  type ResearchTask,
} from '#db/research-tasks.ts';
import { readAgent } from '#db/missions.ts';
import { holdsSlot, releaseAgent } from '#db/run-slots.ts';
import {
  ResearchDeniedError,
  ResearchPendingError,
  ResearchRejectedError,
  ResearchUnavailableError,
} from '#domain/base/errors.ts';
import {
  isStopped,
  type ResearchInput,
  type ResearchKind,
  type SubmitResearchResult,
} from '#domain/run/run.ts';
import type { PromptLanguage } from '#domain/base/language.ts';
import {
  failedResearch,
  researchKindOf,
  researchNoteSchema,
  researchQueryOf,
  type ResearchNote,
} from '#domain/run/research.ts';
import { noteOfAnswer, noteOfArticles } from '#domain/run/research-note.ts';
import { isTaskId, type DeepResearch } from '#research/deep.ts';
import type { ShallowResearch } from '#research/shallow.ts';

/**
 * Which research is still to be done before the first round: the one that was begun, or the one that the mission's words
 * opt into. Null when there is none, or it has come to its end.
 */
export function researchWanted(
  deps: RunnerDependencies,
  begun: ResearchTask | null,
  { mission }: Pick<RunWords, 'mission'>,
): ResearchKind | null {
  if (begun !== null) return begun.state === 'done' || begun.state === 'failed' ? null : begun.kind;
  const { shallow, deep } = deps.research;
  return researchKindOf(mission, { shallow: shallow !== null, deep: deep !== null });
}

/** What research brought; a failed one where its results are lost. Null without research. */
export async function readResearchNote(
  scope: RunScope,
  task: ResearchTask | null,
): Promise<ResearchNote | null> {
  if (task === null || (task.state !== 'done' && task.state !== 'failed')) return null;
  const note = researchNoteSchema.safeParse(await readNote(scope, 'research'));
  return note.success ? note.data : failedResearch(task.kind);
}

/**
 * Does shallow research, or submits a deep task, which costs its user credits and is therefore sent at most once: a row
 * says so before the request goes out. Whoever finds that row without a task id cannot know whether the request arrived.
 *
 * @param signal ends the request
 * @throws ResearchUnavailableError when another attempt may help; certainly nothing was submitted
 * @throws ResearchDeniedError, ResearchRejectedError when the service accepts no key of ours, or refuses what it is asked; like
 * a submission of which nobody knows, it is given up by then, and thrown so that an operator learns of it
 * @throws GrantUnusableError
 */
export async function submitResearch(
  deps: RunnerDependencies,
  input: ResearchInput,
  signal: AbortSignal,
): Promise<SubmitResearchResult> {
  const begun = await beginResearch(deps, input);
  if ('state' in begun) return begun;
  const { service } = begun;
  return 'search' in service
    ? searchArticles(deps, input, { ...begun, service }, signal)
    : submitTask(deps, input, { ...begun, service }, signal);
}

interface Begun<Service> {
  readonly service: Service;
  readonly query: string;
  readonly language: PromptLanguage;
}

/** Commits that a request is about to go out, or finds what became of an earlier one. */
async function beginResearch(
  deps: RunnerDependencies,
  input: ResearchInput,
): Promise<SubmitResearchResult | Begun<ShallowResearch | DeepResearch>> {
  const begun = await inScope(deps, input, async (scope) => {
    const { tx, read } = scope;
    const task = await readResearchTask(tx, input.iterationId);
    if (task !== null && task.state !== 'submitting') return { state: task.state };
    const { mission, language } = await readWords(scope);
    const query = researchQueryOf(input.kind, mission);
    const service = deps.research[input.kind];
    if (task === null && input.kind === 'deep' && service !== null) {
      const takenOver = await takeOverTask(tx, input);
      if (takenOver !== null) return takenOver;
    }
    const isFirst = task === null && (await insertResearchTask(tx, input));
    const agent = input.agentId === null ? null : ((await readAgent(tx, input.agentId))?.agent ?? null);
    // Looking for articles twice costs nobody anything; a run that is stopped meanwhile needs none.
    const maySend = (isFirst || input.kind === 'shallow') && !isStopped(read.mission, input.agentId, agent);
    if (service === null || query === '' || !maySend) {
      await failResearchTask(tx, input);
      return { state: 'failed' as const };
    }
    return { service, query, language };
  });
  return begun ?? { state: 'failed' };
}

/** What the service before this one submitted is paid for: it is asked for, and nothing is submitted. Null when there is nothing. */
async function takeOverTask(tx: UserTransaction, input: ResearchInput): Promise<SubmitResearchResult | null> {
  const before = await readTaskOfServiceBefore(tx, input.missionId);
  if (before === null) return null;
  if (!isTaskId(before.taskId)) {
    await dropTaskOfServiceBefore(tx, input.missionId);
    await failResearchTask(tx, input);
    return { state: 'failed' };
  }
  await insertResearchTask(tx, input);
  await releaseAgent(tx, input);
  return { state: (await recordSubmission(tx, input.iterationId, before.taskId)) ? 'submitted' : 'failed' };
}

async function searchArticles(
  deps: RunnerDependencies,
  input: ResearchInput,
  { service, query, language }: Begun<ShallowResearch>,
  signal: AbortSignal,
): Promise<SubmitResearchResult> {
  const articles = await service.search({ query, language }, signal);
  if ('refusedWith' in articles) {
    await fail(deps, input);
    throw refusalOf(articles.refusedWith);
  }
  return keepNote(deps, input, noteOfArticles(articles.articles, language));
}

/** With 401 and 403 it wants a key or a user's token that a background run has not. */
const refusalOf = (status: number): ResearchDeniedError | ResearchRejectedError =>
  status === 401 || status === 403 ? new ResearchDeniedError(status) : new ResearchRejectedError(status);

async function submitTask(
  deps: RunnerDependencies,
  input: ResearchInput,
  { service, query }: Begun<DeepResearch>,
  signal: AbortSignal,
): Promise<SubmitResearchResult> {
  const { iterationId } = input;
  const idempotencyKey = researchIdempotencyKey(iterationId);
  const submission = await service.submit({ query, userId: input.userId, idempotencyKey }, signal);
  switch (submission.kind) {
    case 'submitted': {
      const { taskId } = submission;
      // Paid for, and the id is in this process alone.
      const isOurs = await persistently(
        () =>
          deps.database.asUser(input.userId, async (tx) => {
            // Others of the agent may ask the model while the service works.
            await releaseAgent(tx, input);
            return recordSubmission(tx, iterationId, taskId);
          }),
        signal,
      );
      return { state: isOurs ? 'submitted' : 'failed' };
    }
    case 'not-submitted':
      await deps.database.asUser(input.userId, (tx) => takeBackResearchTask(tx, iterationId));
      throw new ResearchUnavailableError(submission.refusal);
    case 'refused':
      await fail(deps, input);
      throw refusalOf(submission.status);
    case 'unknown':
      await fail(deps, input);
      throw new ResearchUnavailableError(null, false);
  }
}

/**
 * Asks once for the result of a deep task, and keeps it.
 *
 * @throws ResearchPendingError while the task is under way
 * @throws ResearchUnavailableError, ResearchDeniedError when the service gave no answer, or accepts no key of ours
 * @throws GrantUnusableError
 */
export async function awaitResearch(
  deps: RunnerDependencies,
  input: ResearchInput,
  signal: AbortSignal,
): Promise<void> {
  const userId = input.userId;
  const task = await deps.database.asUser(userId, async (tx) =>
    (await holdsSlot(tx, input)) ? readResearchTask(tx, input.iterationId) : null,
  );
  // The run has ended meanwhile.
  if (task === null || task.state === 'done' || task.state === 'failed') return;
  const { deep } = deps.research;
  const state =
    task.taskId === null || deep === null
      ? FAILED
      : await deep.state({ taskId: task.taskId, userId }, signal);
  if (state.kind === 'pending') throw new ResearchPendingError();
  if (state.kind === 'denied') throw new ResearchDeniedError(state.status, true);
  if (state.kind === 'completed') await keepNote(deps, input, noteOfAnswer(state.answer));
  // Where it could not be asked, what the service before submitted is left to the next run.
  else await fail(deps, input, { isOver: state !== FAILED });
}

const FAILED = { kind: 'failed' } as const;

/** Notes that no result came. Needs no key, so that it works when the grant has ended. */
export async function giveUpResearch(deps: RunnerDependencies, input: ResearchInput): Promise<void> {
  await fail(deps, input);
}

async function fail(
  deps: RunnerDependencies,
  input: ResearchInput,
  { isOver } = { isOver: false },
): Promise<void> {
  await deps.database.asUser(input.userId, async (tx) => {
    if (!(await holdsSlot(tx, input))) return;
    await failResearchTask(tx, input);
    if (isOver) await dropTakenOver(tx, input.iterationId);
  });
}

/** Stores the result together with the state, under the key that the grant opens now. */
async function keepNote(
  deps: RunnerDependencies,
  input: ResearchInput,
  note: ResearchNote,
): Promise<SubmitResearchResult> {
  const kept = await inScope(deps, input, async (scope) => {
    await storeNote(scope, 'research', note);
    await finishResearchTask(scope.tx, input.iterationId);
    return { state: 'done' as const };
  });
  return kept ?? { state: 'failed' };
}

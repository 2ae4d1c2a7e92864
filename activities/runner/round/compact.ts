import type { RunnerDependencies } from '#activities/runner/dependencies.ts';
import { inScope, type RunScope } from '#activities/runner/run-scope.ts';
import { readNote, storeNote } from '#activities/runner/run-notes.ts';
import { askAndKeep, takeBack } from './ask.ts';
import { lastLook } from './last-look.ts';
import { callOf, claim, keepRequest, newIdempotencyKey, type KeptCall } from './kept-call.ts';
import {
  reserveTokens,
  settleTokens,
  sizeOfRequest,
  type BudgetedCall,
} from '#activities/runner/token-budget.ts';
import { readRounds } from '#activities/runner/transcript.ts';
import { readAgent } from '#db/missions.ts';
import { tokensPerDay } from '#domain/run/budget.ts';
import { isStopped, type CompactTranscriptInput, type CompactTranscriptResult } from '#domain/run/run.ts';
import {
  compactionMessages,
  compactionOf,
  compactionSchema,
  type RoundsToCompact,
} from '#domain/planner/plan/compaction.ts';
import type { Compaction } from '#domain/planner/plan/conversation.ts';
import { delimiterOf } from '#domain/planner/prompt/read-tools.ts';
import { flawOf } from '#domain/planner/plan/reply-flaw.ts';
import type { StoredRequest } from '#domain/planner/plan/stored-request.ts';
import { replyTokens, requestTokens } from '#domain/planner/model/window.ts';
import { encodeRequest } from '#llm/gateway.ts';
import { sizeOf } from '#llm/request-size.ts';
import { readReply, type RawReply } from '#llm/reply-schema.ts';

/** What stands in place of earlier rounds; null without a summary, and then they stand as they are. */
export async function readCompaction(scope: RunScope): Promise<Compaction | null> {
  const stored = compactionSchema.safeParse(await readNote(scope, 'compaction'));
  return stored.success ? stored.data : null;
}

const NOT_COMPACTED: CompactTranscriptResult = { compacted: false, totalTokens: 0 };

/**
 * Has the rounds so far summarised by a cheaper model, and keeps the summary, encrypted like them. As with rounds, request
 * and reply are kept before anything else is done with them: what is summarised already is not asked for again. Without
 * room in the budget the rounds stay as they are.
 *
 * @param signal ends the gateway call
 * @throws AnsweredMeanwhileError when another attempt has kept a reply; the next one finds it
 * @throws GrantUnusableError, RunKeyLostError, GatewayUnavailableError, GatewayDeniedError, GatewayRejectedError
 */
export async function compactTranscript(
  deps: RunnerDependencies,
  input: CompactTranscriptInput,
  signal: AbortSignal,
): Promise<CompactTranscriptResult> {
  const userId = input.userId;
  const preparedAtMs = performance.now();
  const prepared = await prepare(deps, input);
  if ('compacted' in prepared) return prepared;
  try {
    const look = lastLook(deps, input, prepared.call, preparedAtMs);
    const raw = prepared.raw ?? (await askAndKeep(deps, userId, prepared, signal, { lastLook: look }));
    return await derive(deps, input, prepared, raw);
  } finally {
    prepared.key.fill(0);
  }
}

interface Prepared {
  readonly call: BudgetedCall & KeptCall;
  /** Of the transcript, 32 bytes, a copy. */
  readonly key: Buffer;
  readonly request: StoredRequest;
  /** As an earlier attempt kept it. */
  readonly raw: RawReply | null;
}

async function prepare(
  deps: RunnerDependencies,
  input: CompactTranscriptInput,
): Promise<Prepared | CompactTranscriptResult> {
  const prepared = await inScope(deps, input, async (scope) => {
    const { tx, key, read } = scope;
    const agent = input.agentId === null ? null : ((await readAgent(tx, input.agentId))?.agent ?? null);
    // The next round ends the run.
    if (isStopped(read.mission, input.agentId, agent)) return NOT_COMPACTED;
    const summarised = await readToCompact(scope);
    if ('compacted' in summarised) return summarised;
    const call = callOf(scope, 'compact');
    const { request: known, raw } = await claim(scope, call);
    if (known !== null && raw !== null) return { call, key: Buffer.from(key), request: known, raw };
    const request = known ?? newRequest(deps, summarised);
    const maxTokens = tokensPerDay(agent, deps.planner.defaultTokensPerDay);
    const reservation = await reserveTokens(
      tx,
      call,
      maxTokens,
      sizeOfRequest(deps, sizeOf(request.bodyText)),
    );
    if (reservation.kind !== 'reserved') return NOT_COMPACTED;
    if (known === null) keepRequest(scope, call, request);
    return { call, key: Buffer.from(key), request, raw: null };
  });
  return prepared ?? NOT_COMPACTED;
}

/** The rounds to summarise, or why there is nothing to do. */
async function readToCompact(
  scope: RunScope<CompactTranscriptInput>,
): Promise<RoundsToCompact | CompactTranscriptResult> {
  const { round } = scope.run;
  const previous = await readCompaction(scope);
  if (previous !== null && previous.upToRound >= round) return { compacted: true, totalTokens: 0 };
  const rounds = (await readRounds(scope)).slice(0, round);
  const [first] = rounds;
  const delimiter = delimiterOf(first?.prompt ?? []);
  // Data that cannot be marked as data stays where it is.
  if (first === undefined || delimiter === null || rounds.length < round) return NOT_COMPACTED;
  return { rounds, previous, language: first.language, delimiter };
}

/** The cheaper model's window is not known; few have a smaller one than the planner's. Two characters to a token. */
const roundsChars = (deps: RunnerDependencies): number => requestTokens(deps.planner) * 2;

const newRequest = (deps: RunnerDependencies, summarised: RoundsToCompact): StoredRequest => ({
  bodyText: encodeRequest({
    model: deps.planner.compactModel,
    messages: compactionMessages(summarised, roundsChars(deps)),
    tools: [],
    maxTokens: replyTokens(deps.planner),
  }),
  idempotencyKey: newIdempotencyKey(),
  round: null,
});

/**
 * Makes the summary of a reply that is kept. Tokens are counted whatever becomes of it: a run that has ended or lost its
 * grant keeps none.
 */
async function derive(
  deps: RunnerDependencies,
  input: CompactTranscriptInput,
  { call, key, request }: Prepared,
  raw: RawReply,
): Promise<CompactTranscriptResult> {
  const reply = readReply(raw);
  if (reply === null) throw await takeBack(deps, input.userId, { call, key, request, raw });
  await deps.database.asUser(input.userId, (tx) => settleTokens(tx, call, reply));
  const { totalTokens } = reply;
  const found = (reply.content ?? '').trim();
  const isUsable = reply.finishReason !== 'content_filter' && flawOf(reply, 0) === null;
  if (found === '' || !isUsable) return { compacted: false, totalTokens };
  const kept = await inScope(deps, input, async (scope) => {
    const summarised = await readToCompact(scope);
    if ('compacted' in summarised) return { ...summarised, totalTokens };
    await storeNote(scope, 'compaction', compactionOf(found, summarised));
    return { compacted: true, totalTokens };
  });
  return kept ?? { compacted: false, totalTokens };
}

import type { RunnerDependencies } from './dependencies.ts';
import { inOpenedMission } from './open-mission.ts';
import { readNote, storeNote } from './run-notes.ts';
import { endFailedCall, reserveTokens, settleTokens, sizeOfRequest } from './token-budget.ts';
import type { BudgetedCall } from './token-budget.ts';
import { readRounds } from './transcript.ts';
import { compactionIdempotencyKey } from '../../crypto/derived-ids.ts';
import type { UserTransaction } from '../../db/client.ts';
import { readAgent } from '../../db/missions.ts';
import { tokensPerDay } from '../../domain/budget.ts';
import { compactionMessages, compactionOf, compactionSchema } from '../../domain/compaction.ts';
import type { RoundsToCompact } from '../../domain/compaction.ts';
import type { Compaction } from '../../domain/conversation.ts';
import { toIterationId, toUserId } from '../../domain/ids.ts';
import type { UserId } from '../../domain/ids.ts';
import type { PlannerReply } from '../../domain/planner-reply.ts';
import { delimiterOf } from '../../domain/read-tools.ts';
import { flawOf } from '../../domain/reply-flaw.ts';
import type { CompactTranscriptInput, CompactTranscriptResult, RunRef } from '../../domain/run.ts';
import { encodeRequest } from '../../llm/gateway.ts';
import type { CompletionRequest } from '../../llm/gateway.ts';
import { replyOf } from '../../llm/gateway-errors.ts';

/** What stands in place of earlier rounds; null without a summary, and then they stand as they are. */
export async function readCompaction(
  tx: UserTransaction,
  userId: UserId,
  run: RunRef,
  key: Buffer,
): Promise<Compaction | null> {
  const stored = compactionSchema.safeParse(await readNote(tx, userId, run, key, 'compaction'));
  return stored.success ? stored.data : null;
}

const NOT_COMPACTED: CompactTranscriptResult = { compacted: false, totalTokens: 0 };

/**
 * Has the rounds so far summarised by a cheaper model, and keeps the summary, encrypted like them. What is summarised
 * already is not asked for again. Without room in the budget the rounds stay as they are.
 *
 * @param signal ends the gateway call
 * @throws GrantUnusableError, GatewayUnavailableError, GatewayRejectedError
 */
export async function compactTranscript(
  deps: RunnerDependencies,
  input: CompactTranscriptInput,
  signal: AbortSignal,
): Promise<CompactTranscriptResult> {
  const userId = toUserId(input.userId);
  const call: BudgetedCall = { ...input, purpose: 'compact' };
  const prepared = await prepare(deps, userId, input, call);
  if ('compacted' in prepared) return prepared;
  const reply = await ask(deps, userId, call, prepared.request, signal);
  return keep(deps, userId, input, { call, reply, summarised: prepared.summarised });
}

interface Prepared {
  readonly summarised: RoundsToCompact;
  readonly request: CompletionRequest;
}

async function prepare(
  deps: RunnerDependencies,
  userId: UserId,
  input: CompactTranscriptInput,
  call: BudgetedCall,
): Promise<Prepared | CompactTranscriptResult> {
  const prepared = await inOpenedMission(deps, input, async (tx, { key }) => {
    const previous = await readCompaction(tx, userId, input, key);
    if (previous !== null && previous.upToRound >= input.round) return { compacted: true, totalTokens: 0 };
    const rounds = (await readRounds(tx, userId, input, key)).slice(0, input.round);
    const [first] = rounds;
    const delimiter = delimiterOf(first?.prompt ?? []);
    // Data that cannot be marked as data stays where it is.
    if (first === undefined || delimiter === null || rounds.length < input.round) return NOT_COMPACTED;
    const summarised = { rounds, previous, language: first.language, delimiter };
    const request = {
      model: deps.planner.compactModel,
      messages: compactionMessages(summarised),
      tools: [],
    };
    const read = input.agentId === null ? null : await readAgent(tx, userId, input.agentId);
    const maxTokens = tokensPerDay(read?.agent ?? null, deps.planner.defaultTokensPerDay);
    const reservation = await reserveTokens(tx, userId, call, maxTokens, sizeOfRequest(request));
    return reservation.kind === 'reserved' ? { summarised, request } : NOT_COMPACTED;
  });
  return prepared ?? NOT_COMPACTED;
}

async function ask(
  deps: RunnerDependencies,
  userId: UserId,
  call: BudgetedCall,
  request: CompletionRequest,
  signal: AbortSignal,
): Promise<PlannerReply> {
  const idempotencyKey = compactionIdempotencyKey(toIterationId(call.iterationId), call.round);
  try {
    return replyOf(await deps.gateway.complete(encodeRequest(request), { signal, idempotencyKey }));
  } catch (error) {
    await endFailedCall(deps, userId, call, error);
    throw error;
  }
}

/** Tokens are counted whatever becomes of the summary: a run that has ended or lost its grant keeps none. */
async function keep(
  deps: RunnerDependencies,
  userId: UserId,
  input: CompactTranscriptInput,
  asked: {
    readonly call: BudgetedCall;
    readonly reply: PlannerReply;
    readonly summarised: RoundsToCompact;
  },
): Promise<CompactTranscriptResult> {
  const { call, reply, summarised } = asked;
  await deps.database.asUser(userId, (tx) => settleTokens(tx, userId, call, reply));
  const { totalTokens } = reply;
  const found = (reply.content ?? '').trim();
  const isUsable = reply.finishReason !== 'content_filter' && flawOf(reply, 0) === null;
  if (found === '' || !isUsable) return { compacted: false, totalTokens };
  const kept = await inOpenedMission(deps, input, async (tx, { key }) => {
    await storeNote(tx, userId, input, key, 'compaction', compactionOf(found, summarised));
    return { compacted: true, totalTokens };
  });
  return kept ?? { compacted: false, totalTokens };
}

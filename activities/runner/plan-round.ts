import type { RunnerDependencies } from './dependencies.ts';
import { resolvePrompt } from './resolve-inputs.ts';
import type { ResolvedPrompt } from './resolve-inputs.ts';
import { missionDataKey, readRounds, runKey, storeRound } from './transcript.ts';
import { roundIdempotencyKey } from '../../crypto/derived-ids.ts';
import type { UserTransaction } from '../../db/client.ts';
import { lockMission } from '../../db/mission-lock.ts';
import { readAgent, readMission } from '../../db/missions.ts';
import type { ReadMission } from '../../db/missions.ts';
import { holdsSlot } from '../../db/run-slots.ts';
import { readClockMs } from '../../db/sync-changes.ts';
import { recordUsage, tokensOfAgentToday } from '../../db/token-usage.ts';
import type { Agent } from '../../domain/agent.ts';
import { conversationOf } from '../../domain/conversation.ts';
import { GrantUnusableError } from '../../domain/errors.ts';
import { toIterationId, toMissionId, toUserId } from '../../domain/ids.ts';
import type { UserId } from '../../domain/ids.ts';
import { planRound as planReply } from '../../domain/plan.ts';
import type { PlannerReply } from '../../domain/planner-reply.ts';
import { promptMessages, stepsOf } from '../../domain/round-entry.ts';
import type { RoundEntry } from '../../domain/round-entry.ts';
import type { PlanRoundInput, PlanRoundResult } from '../../domain/run.ts';
import { offeredTools, toolsByName } from '../../domain/tool-catalog.ts';
import type { ToolDefinition } from '../../domain/tool-catalog.ts';

/** What has to be asked, or what the round came to without asking. */
type PreparedRound =
  | { readonly kind: 'done'; readonly result: PlanRoundResult }
  | ({
      readonly kind: 'ask';
      readonly earlier: readonly RoundEntry[];
      readonly tools: readonly ToolDefinition[];
    } & ResolvedPrompt);

/**
 * One round with the model: asks, turns the reply into steps and keeps it, encrypted. A round that is stored already is
 * not asked again, so a crash costs at most the round in flight (architecture section 4, point 4).
 *
 * @param signal aborts the gateway call
 * @throws GrantUnusableError, GatewayUnavailableError, GatewayRejectedError
 */
export async function planRound(
  deps: RunnerDependencies,
  input: PlanRoundInput,
  signal: AbortSignal,
): Promise<PlanRoundResult> {
  const userId = toUserId(input.userId);
  const opened = await deps.database.asUser(userId, async (tx) => {
    // A revocation must not come between the check of the grant and the reading of what it opens.
    if (input.grantUsable) await lockMission(tx, userId, toMissionId(input.missionId));
    if (!(await holdsSlot(tx, userId, input))) return null;
    const { read, key } = await openMission(deps, tx, userId, input);
    return { key, prepared: await prepareRound(tx, userId, input, read, key) };
  });
  // The run has ended meanwhile: nobody waits for this round, and nobody would forget it.
  if (opened === null) return { status: 'transcript-lost', steps: 0, totalTokens: 0 };
  const { prepared, key } = opened;
  try {
    if (prepared.kind === 'done') return prepared.result;
    const reply = await deps.gateway.complete(
      {
        model: deps.llmModel,
        messages: conversationOf({ prompt: prepared.prompt, rounds: prepared.earlier }),
        tools: prepared.tools,
      },
      { signal, idempotencyKey: roundIdempotencyKey(toIterationId(input.iterationId), input.round) },
    );
    return await keepReply(deps, userId, input, { prepared, key, reply });
  } finally {
    key.fill(0);
  }
}

/** The mission and the key of its transcript; a mission that was deleted meanwhile has taken its grant with it. */
async function openMission(
  deps: RunnerDependencies,
  tx: UserTransaction,
  userId: UserId,
  input: PlanRoundInput,
): Promise<{ read: ReadMission; key: Buffer }> {
  const read = await readMission(tx, userId, input.missionId);
  if (read === null) throw new GrantUnusableError('revoked');
  const key = input.grantUsable
    ? await missionDataKey(deps, tx, userId, read.mission.grant)
    : await runKey(deps, tx, userId, input);
  return { read, key };
}

async function prepareRound(
  tx: UserTransaction,
  userId: UserId,
  input: PlanRoundInput,
  read: ReadMission,
  key: Buffer,
): Promise<PreparedRound> {
  const rounds = await readRounds(tx, userId, input, key);
  const earlier = rounds.slice(0, input.round - 1);
  const done = rounds[input.round - 1];
  if (done !== undefined) return { kind: 'done', result: resultOf(earlier, done) };
  if (earlier.length < input.round - 1) return ended('transcript-lost', earlier);

  const agent = input.agentId === null ? null : ((await readAgent(tx, userId, input.agentId))?.agent ?? null);
  if (await budgetIsUsedUp(tx, userId, agent)) return ended('budget-exhausted', earlier);
  const firstPrompt = earlier[0]?.prompt ?? null;
  const resolved =
    firstPrompt === null
      ? await resolvePrompt(tx, userId, input, read, {
          agentId: input.agentId,
          mdk: input.grantUsable ? key : null,
          nowMs: await readClockMs(tx),
        })
      : { prompt: firstPrompt, unreadableInputs: [] };
  return { kind: 'ask', earlier, tools: offeredTools(agent?.policy ?? null), ...resolved };
}

const ended = (
  status: 'budget-exhausted' | 'transcript-lost',
  earlier: readonly RoundEntry[],
): PreparedRound => ({
  kind: 'done',
  result: { status, steps: stepsOf(earlier).length, totalTokens: 0 },
});

async function budgetIsUsedUp(tx: UserTransaction, userId: UserId, agent: Agent | null): Promise<boolean> {
  if (agent === null || agent.maxTokensPerDay === null) return false;
  return (await tokensOfAgentToday(tx, userId, agent.id)) >= agent.maxTokensPerDay;
}

/**
 * Stores the reply and its tokens in one transaction. If an earlier attempt was faster, its reply is the round. A run
 * that was cancelled or terminated while the gateway answered has forgotten already: then only the tokens are kept.
 */
async function keepReply(
  deps: RunnerDependencies,
  userId: UserId,
  input: PlanRoundInput,
  round: {
    readonly prepared: Extract<PreparedRound, { kind: 'ask' }>;
    readonly key: Buffer;
    readonly reply: PlannerReply;
  },
): Promise<PlanRoundResult> {
  const { prepared, key, reply } = round;
  const entry = entryOf(input, prepared, reply);
  return deps.database.asUser(userId, async (tx) => {
    await recordUsage(tx, userId, {
      iterationId: input.iterationId,
      round: input.round,
      missionId: input.missionId,
      agentId: input.agentId,
      promptTokens: reply.promptTokens,
      completionTokens: reply.completionTokens,
      totalTokens: reply.totalTokens,
      resolvedModel: reply.resolvedModel,
    });
    if (!(await holdsSlot(tx, userId, input))) return resultOf(prepared.earlier, entry);
    if (await storeRound(tx, userId, input, key, input.round, entry))
      return resultOf(prepared.earlier, entry);
    const stored = (await readRounds(tx, userId, input, key))[input.round - 1];
    return resultOf(prepared.earlier, stored ?? entry);
  });
}

function entryOf(
  input: PlanRoundInput,
  prepared: Extract<PreparedRound, { kind: 'ask' }>,
  reply: PlannerReply,
): RoundEntry {
  const planned = planReply({
    reply,
    offered: toolsByName(prepared.tools),
    previousSteps: stepsOf(prepared.earlier),
    round: input.round,
    stepId: (index) => `${input.iterationId}-${index + 1}`,
  });
  const isFirst = input.round === 1;
  return {
    // Later rounds continue the first one's conversation.
    prompt: isFirst ? promptMessages(prepared.prompt) : null,
    unreadableInputs: isFirst ? [...prepared.unreadableInputs] : [],
    reply,
    steps: [...planned.newSteps],
    toolResults: [...planned.toolResults],
    finished: planned.finished,
  };
}

const resultOf = (earlier: readonly RoundEntry[], entry: RoundEntry): PlanRoundResult => ({
  status: entry.finished ? 'finished' : 'continue',
  steps: stepsOf([...earlier, entry]).length,
  totalTokens: entry.reply.totalTokens,
});

import type { RunnerDependencies } from './dependencies.ts';
import { keepReply } from './keep-reply.ts';
import { prepareRound } from './prepare-round.ts';
import type { AskedRound, PreparedRound } from './prepare-round.ts';
import { endFailedCall, settleDeadReservations } from './token-budget.ts';
import { roundIdempotencyKey } from '../../crypto/derived-ids.ts';
import { BudgetReservedError } from '../../domain/errors.ts';
import { toIterationId, toUserId } from '../../domain/ids.ts';
import type { UserId } from '../../domain/ids.ts';
import type { PlannerReply } from '../../domain/planner-reply.ts';
import type { PlanRoundInput, PlanRoundResult } from '../../domain/run.ts';
import { encodeRequest } from '../../llm/gateway.ts';
import { replyOf } from '../../llm/gateway-errors.ts';

/**
 * One round with the model: asks, turns the reply into steps and keeps it, encrypted. A round that is stored already is
 * not asked again, so a crash costs at most the round in flight (architecture section 4, point 4).
 *
 * @param signal aborts the gateway call
 * @throws GrantUnusableError, GatewayUnavailableError, GatewayRejectedError
 * @throws BudgetReservedError while rounds of other missions hold what is left of the agent's budget
 */
export async function planRound(
  deps: RunnerDependencies,
  input: PlanRoundInput,
  signal: AbortSignal,
): Promise<PlanRoundResult> {
  const userId = toUserId(input.userId);
  const prepared = await prepareWithinBudget(deps, userId, input);
  if (prepared.kind === 'done') return prepared.result;
  try {
    const reply = await ask(deps, userId, input, prepared, signal);
    return await keepReply(deps, userId, input, prepared, reply);
  } finally {
    prepared.key.fill(0);
  }
}

/** Runs that are dead settle nothing any more: somebody else has to, before it is said that they hold the budget. */
async function prepareWithinBudget(
  deps: RunnerDependencies,
  userId: UserId,
  input: PlanRoundInput,
): Promise<Exclude<PreparedRound, { kind: 'held' }>> {
  const prepared = await prepareRound(deps, userId, input);
  if (prepared.kind !== 'held') return prepared;
  const { agentId } = prepared;
  const settled = await settleDeadReservations(deps, userId, { agentId, runId: input.runId });
  const again = settled ? await prepareRound(deps, userId, input) : prepared;
  if (again.kind === 'held') throw new BudgetReservedError();
  return again;
}

async function ask(
  deps: RunnerDependencies,
  userId: UserId,
  input: PlanRoundInput,
  { request, call }: AskedRound,
  signal: AbortSignal,
): Promise<PlannerReply> {
  try {
    const raw = await deps.gateway.complete(encodeRequest(request), {
      signal,
      idempotencyKey: roundIdempotencyKey(toIterationId(input.iterationId), input.round),
    });
    return replyOf(raw);
  } catch (error) {
    await endFailedCall(deps, userId, call, error);
    throw error;
  }
}

import type { RunnerDependencies } from './dependencies.ts';
import {
  deleteReservation,
  insertReservation,
  otherReservers,
  readBudget,
  settleCallAsUnknown,
  settleRunAsUnknown,
  type ModelCall,
} from '#db/budget-reservations.ts';
import type { UserTransaction } from '#db/client.ts';
import { lockAgent } from '#db/mission-lock.ts';
import { countFailure, holdCall, type CallRef } from '#db/model-calls.ts';
import { recordUsage } from '#db/token-usage.ts';
import {
  budgetReminder,
  callSize,
  decideBudget,
  type BudgetReminder,
  type CallSize,
} from '#domain/run/budget.ts';
import { GatewayRejectedError, isGatewayFailure, withCount } from '#domain/base/errors.ts';
import type { UserId } from '#domain/base/ids.ts';
import type { PlannerReply } from '#domain/planner/model/planner-reply.ts';
import { sizeOf, type RequestSize } from '#llm/request-size.ts';
import { countTokens } from '#metrics/gateway.ts';

/** A call of the model, and on whose account it goes. */
export interface BudgetedCall extends ModelCall {
  readonly missionId: string;
  readonly runId: string;
  /** Null for a mission without an agent: then it is the user's own. */
  readonly agentId: string | null;
}

export type Reservation =
  /** The call may be made; with a reminder when the budget comes to its end. */
  | { readonly kind: 'reserved'; readonly reminder: BudgetReminder | null }
  | { readonly kind: 'used-up'; readonly budget: BudgetReminder }
  /** Calls of other runs hold what is left. */
  | { readonly kind: 'held' };

/** What this request may cost, by what its model was seen to count. */
export function sizeOfRequest(
  deps: RunnerDependencies,
  { model, tokens, maxReplyTokens }: RequestSize,
): CallSize {
  const calibrated = Math.ceil(tokens * deps.calibration.factor(model));
  return callSize(calibrated, maxReplyTokens ?? deps.planner.maxReplyTokens);
}

/** What a request takes of a window, its reply included, by what its model was seen to count. */
export function wholeTokens(deps: RunnerDependencies, bodyText: string): number {
  const { model, tokens, maxReplyTokens } = sizeOf(bodyText);
  return tokens * deps.calibration.factor(model) + (maxReplyTokens ?? deps.planner.maxReplyTokens);
}

/** Once for each reply: what its model counted for the request. */
export function learnFrom(
  deps: RunnerDependencies,
  { model, tokens }: RequestSize,
  reply: PlannerReply,
): void {
  deps.calibration.observe(model, tokens, reply.promptTokens);
}

/**
 * Reserves what a call may cost, in the transaction that prepares it. A reservation that is there already is of an attempt
 * that never came to its end: its reply was lost, so it counts as spent, by estimate.
 *
 * @param maxTokens see `tokensPerDay`; null sets no limit, and then nothing is reserved
 */
export async function reserveTokens(
  tx: UserTransaction,
  call: BudgetedCall,
  maxTokens: number | null,
  size: CallSize,
): Promise<Reservation> {
  const { agentId } = call;
  const settled = settleCallAsUnknown(tx, call);
  if (maxTokens === null) {
    countTokens('unknown', await settled);
    return { kind: 'reserved', reminder: null };
  }
  // Reading what is left and reserving it must not interleave.
  lockAgent(tx, agentId);
  const [unknownTokens, state] = await Promise.all([settled, readBudget(tx, agentId)]);
  countTokens('unknown', unknownTokens);
  const decision = decideBudget(state, maxTokens, size.atMostTokens);
  if (decision.kind === 'used-up')
    return { kind: 'used-up', budget: { usedTokens: state.usedTokens, maxTokens } };
  if (decision.kind === 'held') return decision;
  insertReservation(tx, {
    ...call,
    agentId,
    reservedTokens: decision.tokens,
    estimatedTokens: size.estimatedTokens,
  });
  return { kind: 'reserved', reminder: budgetReminder(state.usedTokens, maxTokens) };
}

/**
 * Puts the real figure in place of the reservation, in the transaction that keeps the reply. A gateway that does not say
 * what it used would make every budget endless: then the estimate counts, where there is a budget.
 */
export async function settleTokens(
  tx: UserTransaction,
  call: BudgetedCall,
  reply: PlannerReply,
): Promise<void> {
  if (reply.totalTokens === 0) countTokens('unknown', await settleCallAsUnknown(tx, call));
  else deleteReservation(tx, call);
  const isNew = await recordUsage(tx, {
    ...call,
    promptTokens: reply.promptTokens,
    completionTokens: reply.completionTokens,
    totalTokens: reply.totalTokens,
    resolvedModel: reply.resolvedModel,
  });
  if (isNew) countTokens(call.purpose, reply.totalTokens);
}

/**
 * Ends a call that brought no reply: it is counted among the call's failures, and what was certainly not charged is given
 * back, while everything else counts as spent. If the database does not answer either, the reservation stays, and the next
 * attempt or the sweep finds it.
 *
 * @param isAskedAgain at once, with a request that differs
 * @returns what to throw: the same error, with the count where there is one
 */
export async function endFailedCall(
  deps: RunnerDependencies,
  userId: UserId,
  call: BudgetedCall & CallRef,
  error: unknown,
  isAskedAgain: boolean,
): Promise<unknown> {
  try {
    return await deps.database.asUser(userId, async (tx) => {
      holdCall(tx, call);
      if (wasNotCharged(error)) deleteReservation(tx, call);
      else countTokens('unknown', await settleCallAsUnknown(tx, call));
      if (!isGatewayFailure(error) || error.problem.heldBack === true) return error;
      // One that is final, or answered by another request at once, takes no later try away from one that may be a hiccup.
      const isHiccup = error instanceof GatewayRejectedError && error.worthOneMoreTry && !isAskedAgain;
      return withCount(error, await countFailure(tx, call, isHiccup));
    });
  } catch {
    // The gateway's error is the one to report.
    return error;
  }
}

/** Gives back what a call has reserved that was not sent, or leaves that to whoever settles what the run has left. */
export async function releaseCall(
  { database }: RunnerDependencies,
  userId: UserId,
  call: BudgetedCall,
): Promise<void> {
  await database
    .asUser(userId, (tx) => {
      deleteReservation(tx, call);
      return Promise.resolve();
    })
    .catch(() => undefined);
}

/** Ends a call whose reply holds nothing to read: what it cost is not known, and it was a model's or a proxy's. */
export async function settleUnreadable(tx: UserTransaction, call: BudgetedCall): Promise<void> {
  countTokens('unknown', await settleCallAsUnknown(tx, call));
}

/** Timeouts of a proxy, and replies that the provider broke off, may have cost as much as a reply. */
const MAY_BE_CHARGED: ReadonlySet<number> = new Set([408, 504]);

function wasNotCharged(error: unknown): boolean {
  if (!isGatewayFailure(error)) return false;
  const { status, kind, notSent } = error.problem;
  if (notSent === true) return true;
  return status !== null && status >= 400 && !MAY_BE_CHARGED.has(status) && kind !== 'truncated';
}

/**
 * Settles what runs hold of a budget that are no longer open: their replies will never come.
 *
 * @returns whether there was one
 */
export async function settleDeadReservations(
  deps: RunnerDependencies,
  userId: UserId,
  run: { readonly agentId: string | null; readonly runId: string },
): Promise<boolean> {
  const others = await deps.database.asUser(userId, (tx) => otherReservers(tx, run.agentId, run.runId));
  let settled = false;
  for (const other of others) {
    if (await deps.isRunOpen(other.workflowId, other.runId)) continue;
    await deps.database.asUser(userId, (tx) => settleEndedRun(tx, other.runId));
    settled = true;
  }
  return settled;
}

/** Counts as spent what a run that is over has left reserved. */
export async function settleEndedRun(tx: UserTransaction, runId: string): Promise<void> {
  countTokens('unknown', await settleRunAsUnknown(tx, runId));
}

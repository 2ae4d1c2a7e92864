/**
 * The daily token budget of an agent (docs/platform.md section 3: `maxTokensPerDay`, rolling 24 hours, 0 = stopped). A round's
 * tokens are reserved before it is asked and settled by its usage, so that concurrent runs of one agent together never
 * overspend by more than one round.
 */

/**
 * What an account may spend in any 24 hours: an agent what its record says, null for no limit. Missions without an agent,
 * and those whose agent is unknown to this user, share an account of the user's own.
 *
 * @param agent null: there is none
 */
export const tokensPerDay = (
  agent: { readonly maxTokensPerDay: number | null } | null,
  defaultTokensPerDay: number,
): number | null => (agent === null ? defaultTokensPerDay : agent.maxTokensPerDay);

/** An account's tokens of the last 24 hours against its limit, once it is worth saying. */
export interface BudgetReminder {
  readonly usedTokens: number;
  readonly maxTokens: number;
}

/** What one call of the model may cost, and what it probably costs; in tokens. */
export interface CallSize {
  readonly atMostTokens: number;
  readonly estimatedTokens: number;
}

const USUAL_COMPLETION_TOKENS = 1_000;
/** Estimates are near the real count; a call may cost a little more. */
const RESERVED_MARGIN = 1.1;

/**
 * @param requestTokens estimated
 * @param maxReplyTokens as they are asked for: a reply has no more
 */
export const callSize = (requestTokens: number, maxReplyTokens: number): CallSize => ({
  atMostTokens: Math.ceil(requestTokens * RESERVED_MARGIN) + maxReplyTokens,
  estimatedTokens: requestTokens + Math.min(USUAL_COMPLETION_TOKENS, maxReplyTokens),
});

export interface BudgetState {
  /** Of the last 24 hours, unknown spend included. */
  readonly usedTokens: number;
  /** Held by rounds that are under way. */
  readonly reservedTokens: number;
}

/** How much a call may reserve, or why it may not be made: the budget is used up, or other calls hold too much of it. */
export type BudgetDecision =
  | { readonly kind: 'reserve'; readonly tokens: number }
  | { readonly kind: 'used-up' }
  | { readonly kind: 'held' };

/**
 * A call reserves what it may cost at most, so that calls which are covered never overspend together. What is left in the
 * end covers none: one call gets it for itself, while nothing else is reserved, and may cost more. So the agent overspends
 * by less than that one call.
 */
export function decideBudget(state: BudgetState, maxTokens: number, atMostTokens: number): BudgetDecision {
  if (state.usedTokens >= maxTokens) return { kind: 'used-up' };
  const remaining = maxTokens - state.usedTokens - state.reservedTokens;
  if (remaining >= atMostTokens) return { kind: 'reserve', tokens: atMostTokens };
  return state.reservedTokens > 0 ? { kind: 'held' } : { kind: 'reserve', tokens: remaining };
}

/** From here on model and user are told. */
const REMINDER_SHARE = 0.75;

export const budgetReminder = (usedTokens: number, maxTokens: number): BudgetReminder | null =>
  usedTokens >= maxTokens * REMINDER_SHARE ? { usedTokens, maxTokens } : null;

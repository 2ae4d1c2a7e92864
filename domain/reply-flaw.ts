import { holdsCallText } from './call-as-text.ts';
import { isCutOff } from './planner-reply.ts';
import type { PlannerReply } from './planner-reply.ts';

/** Why a reply is asked for once more; the codes are kept with the round. */
export const REPLY_FLAWS = ['provider-error', 'refused', 'call-as-text', 'empty'] as const;
export type ReplyFlaw = (typeof REPLY_FLAWS)[number];

/**
 * What is wrong with a reply that plans nothing and says nothing. One that calls tools has its calls answered, whatever
 * else is odd about it; one without a word is the end of a plan, but no plan.
 *
 * @param plannedSteps of the rounds before
 */
export function flawOf(reply: PlannerReply, plannedSteps: number): ReplyFlaw | null {
  const { finishReason, toolCalls } = reply;
  const words = reply.content ?? '';
  if (toolCalls.length > 0 || finishReason === 'content_filter') return null;
  if (finishReason === 'error') return 'provider-error';
  if (finishReason === 'refusal') return 'refused';
  if (holdsCallText(words)) return 'call-as-text';
  if (words.trim() !== '' || finishReason === 'length') return null;
  // Calls were announced, and got lost on the way.
  return plannedSteps === 0 || finishReason === 'tool_calls' ? 'empty' : null;
}

/** How a round ends; kept with it, so that a repeated attempt and the rounds after it find the same. */
export interface RoundEnd {
  readonly flaw: ReplyFlaw | null;
  /** False when the rounds go on: calls want their answers, cut words their end, and a flaw is asked about once more. */
  readonly finished: boolean;
}

/**
 * @param round.previousFlaw of the round before, which then asked once more already
 * @param round.isLast no further round may be asked
 */
export function endOfRound(
  reply: PlannerReply,
  round: {
    readonly plannedSteps: number;
    readonly previousFlaw: ReplyFlaw | null;
    readonly isLast: boolean;
  },
): RoundEnd {
  const flaw = flawOf(reply, round.plannedSteps);
  if (flaw !== null) return { flaw, finished: round.isLast || round.previousFlaw !== null };
  // A filter's verdict is final.
  const isFiltered = reply.finishReason === 'content_filter';
  return { flaw, finished: isFiltered || (reply.toolCalls.length === 0 && !isCutOff(reply)) };
}

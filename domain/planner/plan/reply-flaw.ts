import { holdsCallText } from '#domain/planner/tools/call-as-text.ts';
import type { PlannerReply } from '#domain/planner/model/planner-reply.ts';

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

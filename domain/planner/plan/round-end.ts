import { RECORDED } from '#domain/planner/model/model-notices.ts';
import { identityOfCall, summaryOf, type ToolResult } from './plan.ts';
import { isCutOff, type PlannerReply } from '#domain/planner/model/planner-reply.ts';
import { flawOf, type ReplyFlaw } from './reply-flaw.ts';

/** What a round was: a reply, and the answers to its calls in their order. */
export interface AnsweredReply {
  readonly reply: PlannerReply;
  readonly toolResults: readonly Pick<ToolResult, 'content'>[];
}

/** How a round ends; kept with it, so that a repeated attempt and the rounds after it find the same. */
export interface RoundEnd {
  readonly flaw: ReplyFlaw | null;
  /** False when the rounds go on: calls want their answers, cut words their end, and a flaw is asked about once more. */
  readonly finished: boolean;
  /** The model only asked for what it had got: another round would bring no more. */
  readonly repeats: boolean;
}

/**
 * @param round.plannedSteps of the rounds before
 * @param round.newSteps of this one
 * @param round.isLast no further round may be asked
 */
export function endOfRound(
  answered: AnsweredReply,
  round: {
    readonly earlier: readonly (AnsweredReply & { readonly flaw: ReplyFlaw | null })[];
    readonly plannedSteps: number;
    readonly newSteps: number;
    readonly isLast: boolean;
  },
): RoundEnd {
  const { reply } = answered;
  const flaw = flawOf(reply, round.plannedSteps);
  if (flaw !== null) {
    // The round before asked once more already.
    const isSecond = (round.earlier.at(-1)?.flaw ?? null) !== null;
    return { flaw, finished: round.isLast || isSecond, repeats: false };
  }
  // A filter's verdict is final.
  const isFiltered = reply.finishReason === 'content_filter';
  const repeats = round.newSteps === 0 && addsNothing(answered, round.earlier);
  const isEnd = reply.toolCalls.length === 0 ? !isCutOff(reply) : closes(answered) || repeats;
  return { flaw, finished: isFiltered || isEnd, repeats: repeats && !isFiltered && !closes(answered) };
}

/**
 * Whether a reply with calls is the last one: the model has nothing to learn from answers that all say `recorded`, and has
 * said its closing words. Words that announce the calls ("I will now add:") close nothing.
 */
function closes({ reply, toolResults }: AnsweredReply): boolean {
  if (reply.finishReason === 'length' || reply.finishReason === 'error') return false;
  const words = summaryOf(reply) ?? '';
  if (words.length < MIN_CLOSING_CHARS) return false;
  return (
    toolResults.every(({ content }) => content === RECORDED) &&
    /[.!?)"”“’»]$/.test(words) &&
    !/\.\.\.$/.test(words)
  );
}

/** "Ok." says nothing to a user. */
const MIN_CLOSING_CHARS = 20;

/** Whether every call of a round was made before in the run and got the same answer. */
function addsNothing({ reply, toolResults }: AnsweredReply, earlier: readonly AnsweredReply[]): boolean {
  const key = (round: AnsweredReply, index: number): string => {
    const call = round.reply.toolCalls[index];
    return `${call === undefined ? '' : identityOfCall(call)}\n${round.toolResults[index]?.content ?? ''}`;
  };
  const known = new Set(earlier.flatMap((round) => round.toolResults.map((_, index) => key(round, index))));
  return (
    reply.toolCalls.length > 0 &&
    toolResults.every(
      ({ content }, index) => content === RECORDED || known.has(key({ reply, toolResults }, index)),
    )
  );
}

import type { ReplyFlaw } from './reply-flaw.ts';
import { stepsOfRounds, type StoredRound } from './stored-round.ts';
import type { FailureCode, RunFailure } from '#domain/wire/iteration.ts';

const CODES: Readonly<Record<ReplyFlaw, FailureCode>> = {
  'provider-error': 'provider-error',
  refused: 'model-refused',
  empty: 'empty-reply',
  'call-as-text': 'no-plan',
};

/** The provider held the last reply back, and nothing was planned before. */
export function isHeldBack(rounds: readonly StoredRound[]): boolean {
  const last = rounds.at(-1);
  return (
    last?.finished === true &&
    last.reply.finishReason === 'content_filter' &&
    stepsOfRounds(rounds).length === 0
  );
}

/**
 * Why rounds that planned nothing are a failure and not a plan without steps: the last reply was held back, or was none although
 * it was asked for twice, or the rounds were used up without the model coming to an end.
 *
 * @returns null where there is a plan, or the model said that nothing is needed
 */
export function failureOfRounds(rounds: readonly StoredRound[]): RunFailure | null {
  const last = rounds.at(-1);
  if (isHeldBack(rounds)) return { code: 'content-filtered', phase: 'calling-llm' };
  // Steps were proposed, and dropped or open already: the summary says so.
  const isProposed = rounds.some(({ notices }) =>
    notices.some(({ kind }) => kind === 'dropped-steps' || kind === 'still-open'),
  );
  if (last === undefined || isProposed || stepsOfRounds(rounds).length > 0) return null;
  const phase = 'parsing-response';
  if (last.flaw !== null) return { code: CODES[last.flaw], phase };
  const why = new Set(last.notices.map(({ kind }) => kind));
  if (why.has('repeats')) return { code: 'no-plan', phase };
  return last.finished ? null : { code: why.has('cut-off') ? 'plan-cut-off' : 'rounds-used-up', phase };
}

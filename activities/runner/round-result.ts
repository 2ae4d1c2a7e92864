import { comesNearWindow } from '../../domain/budget.ts';
import { stepsOf } from '../../domain/round-entry.ts';
import type { RoundEntry } from '../../domain/round-entry.ts';
import type { PlanRoundResult } from '../../domain/run.ts';

/** What a stored round came to. The same whenever it is asked for: a retried activity reads it from the transcript. */
export function resultOfRound(
  earlier: readonly RoundEntry[],
  entry: RoundEntry,
  contextTokens: number,
): PlanRoundResult {
  const { reply, finished } = entry;
  const steps = stepsOf([...earlier, entry]).length;
  const { totalTokens } = reply;
  if (finished) {
    const isFiltered = reply.finishReason === 'content_filter' && steps === 0;
    return { status: isFiltered ? 'content-filtered' : 'finished', steps, totalTokens };
  }
  const chars = JSON.stringify([...earlier, entry]).length;
  const compact = comesNearWindow(chars, reply.promptTokens + reply.completionTokens, contextTokens);
  return { status: 'continue', steps, totalTokens, ...(compact ? { compact } : {}) };
}

import { roundMessages } from '#domain/planner/plan/conversation.ts';
import { tokensOfMessages } from '#domain/planner/plan/fit-conversation.ts';
import { isHeldBack } from '#domain/planner/plan/plan-failure.ts';
import { stepsOfRounds, type StoredRound } from '#domain/planner/plan/stored-round.ts';
import type { PlanRoundResult } from '#domain/run/run.ts';
import { shouldCompact, type ModelWindow } from '#domain/planner/model/window.ts';

/** What a stored round came to. The same whenever it is asked for: a retried activity reads it from the transcript. */
export function resultOfRound(
  earlier: readonly StoredRound[],
  entry: StoredRound,
  window: ModelWindow,
): PlanRoundResult {
  const { reply, finished } = entry;
  const steps = stepsOfRounds([...earlier, entry]).length;
  const { totalTokens } = reply;
  if (finished) {
    const status = isHeldBack([...earlier, entry]) ? 'content-filtered' : 'finished';
    return { status, steps, totalTokens };
  }
  const tokens = [...earlier, entry].map((round, index) =>
    tokensOfMessages(roundMessages(round, index + 1, round.language)),
  );
  const sum = (of: readonly number[]): number => of.reduce((total, each) => total + each, 0);
  const compact = shouldCompact(
    {
      nextTokens: entry.requestTokens === 0 ? sum(tokens) : entry.requestTokens + (tokens.at(-1) ?? 0),
      roundsTokens: sum(tokens.slice(entry.compactedUpTo)),
    },
    window,
  );
  return { status: 'continue', steps, totalTokens, ...(compact ? { compact } : {}) };
}

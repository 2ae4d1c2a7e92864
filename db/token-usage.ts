import type { CallPurpose } from './budget-reservations.ts';
import type { UserTransaction } from './client.ts';

export interface CallUsage {
  readonly iterationId: string;
  readonly round: number;
  readonly purpose: CallPurpose;
  readonly missionId: string;
  readonly agentId: string | null;
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly totalTokens: number;
  /** `X-Mana-LLM-Resolved`, `provider/model`. */
  readonly resolvedModel: string | null;
}

/**
 * Counts a call once, however often its activity is retried.
 *
 * @returns false when it was counted before
 */
export async function recordUsage(tx: UserTransaction, usage: CallUsage): Promise<boolean> {
  const rows = await tx`
    insert into mana_ai.token_usage
      (user_id, iteration_id, round, purpose, mission_id, agent_id, prompt_tokens, completion_tokens, total_tokens,
       resolved_model)
    values
      (${tx.userId}, ${usage.iterationId}, ${usage.round}, ${usage.purpose}, ${usage.missionId}, ${usage.agentId},
       ${usage.promptTokens}, ${usage.completionTokens}, ${usage.totalTokens}, ${usage.resolvedModel})
    on conflict (user_id, iteration_id, round, purpose) do nothing
    returning round`;
  return rows.length > 0;
}

/** Estimated tokens of a round's calls whose replies nobody saw. */
export async function unknownTokensOfRound(
  tx: UserTransaction,
  iterationId: string,
  round: number,
): Promise<number> {
  const [row] = await tx<{ tokens: number }[]>`
    select total_tokens::float8 as tokens from mana_ai.token_usage
    where user_id = ${tx.userId} and iteration_id = ${iterationId} and round = ${round} and purpose = 'unknown'`;
  return row?.tokens ?? 0;
}

/** The same of all rounds of an iteration. */
export async function unknownTokensOfIteration(tx: UserTransaction, iterationId: string): Promise<number> {
  const [row] = await tx<{ tokens: number }[]>`
    select coalesce(sum(total_tokens), 0)::float8 as tokens from mana_ai.token_usage
    where user_id = ${tx.userId} and iteration_id = ${iterationId} and purpose = 'unknown'`;
  return row?.tokens ?? 0;
}

import type { UserTransaction } from './client.ts';
import type { UserId } from '../domain/ids.ts';

export interface RoundUsage {
  readonly iterationId: string;
  readonly round: number;
  readonly missionId: string;
  readonly agentId: string | null;
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly totalTokens: number;
  /** `X-Mana-LLM-Resolved`, `provider/model`. */
  readonly resolvedModel: string | null;
}

/** Counts a round once, however often its activity is retried. */
export async function recordUsage(tx: UserTransaction, userId: UserId, usage: RoundUsage): Promise<void> {
  await tx`
    insert into mana_ai.token_usage
      (user_id, iteration_id, round, mission_id, agent_id, prompt_tokens, completion_tokens, total_tokens, resolved_model)
    values
      (${userId}, ${usage.iterationId}, ${usage.round}, ${usage.missionId}, ${usage.agentId}, ${usage.promptTokens},
       ${usage.completionTokens}, ${usage.totalTokens}, ${usage.resolvedModel})
    on conflict (user_id, iteration_id, round) do nothing`;
}

/** Tokens that an agent used in the last 24 hours, the window of `maxTokensPerDay` (contract section 3). */
export async function tokensOfAgentToday(
  tx: UserTransaction,
  userId: UserId,
  agentId: string,
): Promise<number> {
  const [row] = await tx<{ total: number }[]>`
    select coalesce(sum(total_tokens), 0)::float8 as total from mana_ai.token_usage
    where user_id = ${userId} and agent_id = ${agentId} and recorded_at > clock_timestamp() - interval '24 hours'`;
  return row?.total ?? 0;
}

import type { SystemSql, UserTransaction } from './client.ts';
import { sql, type Fragment } from './sql.ts';
import type { BudgetState } from '#domain/run/budget.ts';

/** What a reservation is for; `compact` summarises the rounds before it. */
export type CallPurpose = 'plan' | 'compact';

/** One call of the model: a round is asked once, and compacted at most once. */
export interface ModelCall {
  readonly iterationId: string;
  readonly round: number;
  readonly purpose: CallPurpose;
}

/** Whom a reservation belongs to. */
export interface Reserver {
  readonly workflowId: string;
  readonly runId: string;
}

/** Rows of one account: an agent's, or with null the user's own. */
const ofAccount = (agentId: string | null) =>
  agentId === null ? sql`agent_id is null` : sql`agent_id = ${agentId}`;

/**
 * What an account spent in the last 24 hours and what is reserved: in one statement, since a call that is settled in between
 * would be in neither.
 */
export async function readBudget(tx: UserTransaction, agentId: string | null): Promise<BudgetState> {
  const [row] = await tx<{ usedTokens: number; reservedTokens: number }[]>`
    select
      (select coalesce(sum(total_tokens), 0)::float8 from mana_ai.token_usage
        where user_id = ${tx.userId} and ${ofAccount(agentId)}
          and recorded_at > clock_timestamp() - interval '24 hours') as "usedTokens",
      (select coalesce(sum(reserved_tokens), 0)::float8 from mana_ai.budget_reservations
        where user_id = ${tx.userId} and ${ofAccount(agentId)}) as "reservedTokens"`;
  return row ?? { usedTokens: 0, reservedTokens: 0 };
}

/** Reserves for a run that holds its mission's slot; the slot knows its workflow. */
export function insertReservation(
  tx: UserTransaction,
  reservation: ModelCall & {
    readonly missionId: string;
    readonly agentId: string | null;
    readonly runId: string;
    readonly reservedTokens: number;
    readonly estimatedTokens: number;
  },
): void {
  const { iterationId, round, purpose, missionId, agentId, runId } = reservation;
  tx.ahead`
    insert into mana_ai.budget_reservations
      (user_id, iteration_id, round, purpose, mission_id, agent_id, workflow_id, run_id, reserved_tokens, estimated_tokens)
    select ${tx.userId}, ${iterationId}, ${round}, ${purpose}, ${missionId}, ${agentId}, workflow_id, run_id,
      ${reservation.reservedTokens}, ${reservation.estimatedTokens}
    from mana_ai.run_slots where user_id = ${tx.userId} and mission_id = ${missionId} and run_id = ${runId}`;
}

/** Where there is one. */
export function deleteReservation(tx: UserTransaction, call: ModelCall): void {
  tx.ahead`
    delete from mana_ai.budget_reservations
    where user_id = ${tx.userId} and iteration_id = ${call.iterationId} and round = ${call.round}
      and purpose = ${call.purpose}`;
}

/**
 * Counts a call whose reply nobody saw as spent, with the estimate made before it.
 *
 * @returns the tokens counted; 0 when nothing was reserved (any more)
 */
export const settleCallAsUnknown = (tx: UserTransaction, call: ModelCall): Promise<number> =>
  settleAsUnknown(
    tx,
    sql`iteration_id = ${call.iterationId} and round = ${call.round} and purpose = ${call.purpose}`,
  );

/** Likewise whatever a run that is over has left. */
export const settleRunAsUnknown = (tx: UserTransaction, runId: string): Promise<number> =>
  settleAsUnknown(tx, sql`run_id = ${runId}`);

async function settleAsUnknown(tx: UserTransaction, which: Fragment): Promise<number> {
  // A round's own call and its compaction end in the same row of usage.
  const rows = await tx<{ tokens: number }[]>`
    with settled as (
      delete from mana_ai.budget_reservations where user_id = ${tx.userId} and ${which}
      returning iteration_id, round, mission_id, agent_id, estimated_tokens
    ), summed as (
      select iteration_id, round, mission_id, agent_id, sum(estimated_tokens)::bigint as tokens
      from settled group by iteration_id, round, mission_id, agent_id
    ), recorded as (
      insert into mana_ai.token_usage
        (user_id, iteration_id, round, purpose, mission_id, agent_id, prompt_tokens, completion_tokens, total_tokens)
      select ${tx.userId}, iteration_id, round, 'unknown', mission_id, agent_id, 0, 0, tokens from summed
      on conflict (user_id, iteration_id, round, purpose) do update
        set total_tokens = token_usage.total_tokens + excluded.total_tokens, recorded_at = clock_timestamp()
    )
    select tokens::float8 as tokens from summed`;
  return rows.reduce((sum, { tokens }) => sum + tokens, 0);
}

/** Which other runs hold something of a budget. */
export async function otherReservers(
  tx: UserTransaction,
  agentId: string | null,
  runId: string,
): Promise<Reserver[]> {
  return await tx<Reserver[]>`
    select distinct workflow_id as "workflowId", run_id as "runId" from mana_ai.budget_reservations
    where user_id = ${tx.userId} and ${ofAccount(agentId)} and run_id <> ${runId}`;
}

/** Runs of all users that reserved so long ago, by the database's clock, for the sweep; ids only. */
export async function listReservationsOlderThan(
  tx: SystemSql,
  ageMs: number,
): Promise<(Reserver & { readonly userId: string })[]> {
  return await tx<(Reserver & { readonly userId: string })[]>`
    select distinct user_id as "userId", workflow_id as "workflowId", run_id as "runId"
    from mana_ai.budget_reservations
    where reserved_at < statement_timestamp() - ${ageMs}::float8 * interval '1 millisecond' limit 1000`;
}

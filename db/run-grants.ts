import type { UserTransaction } from './client.ts';
import type { Grant } from '#domain/wire/grant.ts';

/** Keeps the grant that a run seals with; an earlier attempt's stays. Call it in the transaction that seals. */
export function keepRunGrant(
  tx: UserTransaction,
  run: { readonly runId: string; readonly missionId: string },
  grant: Grant,
): void {
  tx.ahead`
    insert into mana_ai.run_grants (user_id, run_id, mission_id, mission_grant)
    values (${tx.userId}, ${run.runId}, ${run.missionId}, ${JSON.stringify(grant)}::text::jsonb)
    on conflict (user_id, run_id) do nothing`;
}

/** As it was kept; null for a run that has sealed nothing. */
export async function readRunGrant(tx: UserTransaction, runId: string): Promise<unknown> {
  const [row] = await tx<{ grant: unknown }[]>`
    select mission_grant as grant from mana_ai.run_grants where user_id = ${tx.userId} and run_id = ${runId}`;
  return row?.grant ?? null;
}

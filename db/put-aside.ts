import type { UserTransaction } from './client.ts';

/** Notes that nothing can be written about a mission: its instants up to now are not started again. */
export async function putMissionAside(tx: UserTransaction, missionId: string): Promise<void> {
  await tx`
    insert into mana_ai.missions_put_aside (user_id, mission_id, put_aside_at)
    values (${tx.userId}, ${missionId}, clock_timestamp())
    on conflict (user_id, mission_id) do update set put_aside_at = excluded.put_aside_at`;
}

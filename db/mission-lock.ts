import type { UserTransaction } from './client.ts';
import type { MissionId } from '#domain/base/ids.ts';

/**
 * Takes the mission's advisory lock until the transaction ends. Sealing, revoking and writing back hold it, so that none
 * of them sees the others half-done (docs/architecture.md section 2). User and mission are hashed together because anyone may
 * use any record id under their own user.
 *
 * It is not waited for: the statements behind it are, in the database.
 */
export function lockMission(tx: UserTransaction, missionId: MissionId): void {
  tx.ahead`select pg_advisory_xact_lock(hashtextextended(${keyOfMission(tx, missionId)}, 0))`;
}

const keyOfMission = (tx: UserTransaction, missionId: MissionId): string =>
  JSON.stringify(['mission', tx.userId, missionId]);

/**
 * Likewise, for the projection: it holds what everybody waits for, and comes back later.
 *
 * @throws what the driver throws for a lock that is not free within two seconds
 */
export async function lockMissionBriefly(tx: UserTransaction, missionId: MissionId): Promise<void> {
  tx.ahead`set local lock_timeout = '2s'`;
  await tx`select pg_advisory_xact_lock(hashtextextended(${keyOfMission(tx, missionId)}, 0))`;
}

/**
 * As `lockMission`, for the missions of one agent: counting slots and adding one must not interleave.
 *
 * @param agentId null: the user's missions without an agent
 */
export function lockAgent(tx: UserTransaction, agentId: string | null): void {
  tx.ahead`select pg_advisory_xact_lock(hashtextextended(${JSON.stringify(['agent', tx.userId, agentId])}, 0))`;
}

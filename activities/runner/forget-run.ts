import type { RunnerDependencies } from './dependencies.ts';
import { endOpenClaim } from './claim-instant.ts';
import { settleEndedRun } from './token-budget.ts';
import { listReserversBefore } from '../../db/budget-reservations.ts';
import type { Database } from '../../db/client.ts';
import { lockMission } from '../../db/mission-lock.ts';
import { listSlotsClaimedBefore, readSlotIteration, releaseSlot } from '../../db/run-slots.ts';
import { forgetMissionStorage } from '../../db/run-storage.ts';
import { toMissionId, toUserId } from '../../domain/ids.ts';
import type { UserId } from '../../domain/ids.ts';

/**
 * Ends a run's hold on its mission and agent, and deletes its sealed records, transcript and key. If it claimed an instant and
 * never said what came of it, the iteration is written as interrupted. A run that holds
 * nothing any more was taken over: what is there belongs to its successor. What it still has reserved is of a call whose
 * reply nobody waits for, and counts as spent.
 */
export async function forgetRun(
  database: Database,
  userId: UserId,
  run: { readonly missionId: string; readonly runId: string },
): Promise<void> {
  await database.asUser(userId, async (tx) => {
    await lockMission(tx, userId, toMissionId(run.missionId));
    await settleEndedRun(tx, userId, run.runId);
    const iterationId = await readSlotIteration(tx, userId, run);
    if (await releaseSlot(tx, userId, run.missionId, run.runId)) {
      await forgetMissionStorage(tx, userId, run.missionId);
      await endOpenClaim(tx, userId, run.missionId, iterationId ?? '');
    }
  });
}

/** A run that has just claimed its slot may not be visible in Temporal's answers yet. */
const SWEEP_AGE_MS = 10 * 60_000;

/**
 * Forgets runs that were terminated and so could not do it themselves (architecture section 4, point 6).
 *
 * @returns how many
 */
export async function sweepRuns(deps: RunnerDependencies): Promise<number> {
  const olderThanMs = Date.now() - SWEEP_AGE_MS;
  const slots = await listSlotsClaimedBefore(deps.database.system, olderThanMs);
  let swept = 0;
  for (const slot of slots) {
    if (await deps.isRunOpen(slot.workflowId, slot.runId)) continue;
    await forgetRun(deps.database, toUserId(slot.userId), slot);
    swept += 1;
  }
  await settleOrphans(deps, olderThanMs);
  return swept;
}

/** Reservations of runs that are over and whose mission another run has taken over since. */
async function settleOrphans(deps: RunnerDependencies, olderThanMs: number): Promise<void> {
  for (const run of await listReserversBefore(deps.database.system, olderThanMs)) {
    if (await deps.isRunOpen(run.workflowId, run.runId)) continue;
    const userId = toUserId(run.userId);
    await deps.database.asUser(userId, (tx) => settleEndedRun(tx, userId, run.runId));
  }
}

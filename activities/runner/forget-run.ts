import type { RunnerDependencies } from './dependencies.ts';
import { settleEndedRun } from './token-budget.ts';
import { listReserversBefore } from '../../db/budget-reservations.ts';
import type { Database } from '../../db/client.ts';
import { listSlotsClaimedBefore, releaseSlot } from '../../db/run-slots.ts';
import { forgetMissionStorage } from '../../db/run-storage.ts';
import { toUserId } from '../../domain/ids.ts';
import type { UserId } from '../../domain/ids.ts';

/**
 * Ends a run's hold on its mission and agent, and deletes its sealed records, transcript and key. A run that holds
 * nothing any more was taken over: what is there belongs to its successor. What it still has reserved is of a call whose
 * reply nobody waits for, and counts as spent.
 */
export async function forgetRun(
  database: Database,
  userId: UserId,
  run: { readonly missionId: string; readonly runId: string },
): Promise<void> {
  await database.asUser(userId, async (tx) => {
    await settleEndedRun(tx, userId, run.runId);
    if (await releaseSlot(tx, userId, run.missionId, run.runId)) {
      await forgetMissionStorage(tx, userId, run.missionId);
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

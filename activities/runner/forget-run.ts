import type { RunRef } from '#domain/run/run.ts';
import type { RunnerDependencies } from './dependencies.ts';
import { endOpenClaim } from './claim-instant.ts';
import { countedStage } from './counted-stage.ts';
import { oneAtATime } from '#activities/one-at-a-time.ts';
import { settleEndedRun } from './token-budget.ts';
import { listReservationsOlderThan, type Reserver } from '#db/budget-reservations.ts';
import type { Database, UserTransaction } from '#db/client.ts';
import { lockMission } from '#db/mission-lock.ts';
import { putMissionAside } from '#db/schedule-state.ts';
import { deleteOutdated } from '#db/retention.ts';
import { beginStage, endStage, listSlotsOlderThan, readSlotIteration } from '#db/run-slots.ts';
import { releaseAndForget } from '#db/run-storage.ts';
import { WorkerLostError } from '#domain/base/errors.ts';
import { toUserId, type UserId } from '#domain/base/ids.ts';
import { isTemporalUnavailable } from '#temporal/grpc-status.ts';

type HeldRun = Pick<RunRef, 'missionId' | 'runId'>;

/**
 * Ends a run's hold on its mission and agent, and deletes its sealed records, transcript and key. If it claimed an instant and
 * never said what came of it, the iteration is written as interrupted. A run that holds
 * nothing any more was taken over: what is there belongs to its successor. What it still has reserved is of a call whose
 * reply nobody waits for, and counts as spent.
 *
 * @returns what came of its claim, see `endClaim`
 * @throws TurnTakenError see `countedStage`
 */
export function forgetRun(database: Database, userId: UserId, run: HeldRun): Promise<ClaimEnd> {
  return endClaim(database, userId, run, async (tx) => {
    const settled = settleEndedRun(tx, run.runId);
    releaseAndForget(tx, run);
    await settled;
  });
}

/** `put-aside`: the claim stays open, because three workers died of ending it. */
export type ClaimEnd = 'ended' | 'put-aside';

/**
 * Ends the claim that a run left open. That reads the mission: where it has taken three workers with it, or where writing the
 * outcome already has, it is not tried again. Several heirs of one dead run go in turn, or those under way would look like
 * attempts that were lost.
 *
 * @param finish done in the same transaction, or without the claim's end when the mission is put aside
 * @throws TurnTakenError see `countedStage`
 */
export const endClaim = (
  database: Database,
  userId: UserId,
  run: HeldRun,
  finish: (tx: UserTransaction) => Promise<void>,
): Promise<ClaimEnd> => oneAtATime(run.runId, () => endClaimInTurn(database, userId, run, finish));

async function endClaimInTurn(
  database: Database,
  userId: UserId,
  run: HeldRun,
  finish: (tx: UserTransaction) => Promise<void>,
): Promise<ClaimEnd> {
  const slot = await database.asUser(userId, async (tx) => {
    const iterationId = await readSlotIteration(tx, run);
    if (iterationId !== null) return { ...(await beginStage(tx, run, 'end')), iterationId };
    await finish(tx);
    return null;
  });
  if (slot === null) return 'ended';
  const stage = {
    ...{ name: 'forgetRun' as const, part: 'end' as const, ...slot },
    onGivenUp: async (tx: UserTransaction) => {
      lockMission(tx, run.missionId);
      await putMissionAside(tx, run.missionId);
      await finish(tx);
    },
  };
  try {
    await countedStage(database, userId, run, stage, () =>
      database.asUser(userId, async (tx) => {
        lockMission(tx, run.missionId);
        endStage(tx, run, 'end', 0);
        // Another sweep may have been faster, and a successor holds the mission.
        const iterationId = await readSlotIteration(tx, run);
        await finish(tx);
        if (iterationId !== null) await endOpenClaim(tx, run.missionId, iterationId);
      }),
    );
    return 'ended';
  } catch (error) {
    if (error instanceof WorkerLostError) return 'put-aside';
    throw error;
  }
}

/** A run that has just claimed its slot may not be visible in Temporal's answers yet. */
const SWEEP_AGE_MS = 10 * 60_000;

type EndedRun = Pick<Reserver, 'workflowId' | 'runId'> & { readonly userId: string };

/** Told of a run that could not be swept; the sweep goes on with the others. */
export type OnUnswept = (run: EndedRun, error: unknown) => void;

/**
 * Forgets runs that were terminated and so could not do it themselves (docs/architecture.md section 4, point 6). A run that
 * cannot be forgotten stops none of the others, and is tried again by the next sweep. What has been kept for its time goes, too.
 *
 * @returns how many
 * @throws what Temporal answered with while it cannot say which runs are open
 */
export async function sweepRuns(deps: RunnerDependencies, onUnswept: OnUnswept): Promise<number> {
  const sweep = sweeper(deps, onUnswept);
  let swept = 0;
  let page = await listSlotsOlderThan(deps.database.system, SWEEP_AGE_MS, null);
  while (page.length > 0) {
    for (const slot of page) {
      if (await sweep(slot, (userId) => forgetRun(deps.database, userId, slot))) swept += 1;
    }
    page = await listSlotsOlderThan(deps.database.system, SWEEP_AGE_MS, page.at(-1) ?? null);
  }
  // Reservations of runs that are over and whose mission another run has taken over since.
  for (const run of await listReservationsOlderThan(deps.database.system, SWEEP_AGE_MS)) {
    await sweep(run, async (userId) => {
      await deps.database.asUser(userId, (tx) => settleEndedRun(tx, run.runId));
      return 'ended';
    });
  }
  await deleteOutdated(deps.database.system);
  return swept;
}

/** @returns does the work for a run that has ended; false where it has not, or where the work failed */
const sweeper =
  (deps: RunnerDependencies, onUnswept: OnUnswept) =>
  async (run: EndedRun, work: (userId: UserId) => Promise<ClaimEnd>): Promise<boolean> => {
    try {
      if (await deps.isRunOpen(run.workflowId, run.runId)) return false;
      if ((await work(toUserId(run.userId))) === 'put-aside') throw new WorkerLostError();
      return true;
    } catch (error) {
      if (isTemporalUnavailable(error)) throw error;
      onUnswept(run, error);
      return false;
    }
  };

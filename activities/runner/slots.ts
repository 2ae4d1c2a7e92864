import type { RunnerDependencies } from './dependencies.ts';
import { endClaim, forgetRun } from './forget-run.ts';
import type { UserTransaction } from '#db/client.ts';
import { lockAgent } from '#db/mission-lock.ts';
import { readAgent } from '#db/missions.ts';
import {
  beginStage,
  claimMissionSlot,
  holdAgent,
  otherSlotsOfAgent,
  releaseAgent,
  releaseWaitingPlaces,
  takeOverMissionSlot,
  type BegunStage,
  type RunSlot,
} from '#db/run-slots.ts';
import type { UserId } from '#domain/base/ids.ts';

type Claimant = Pick<RunSlot, 'missionId' | 'workflowId' | 'runId'>;
type OwnRun = Pick<RunSlot, 'missionId' | 'runId'>;

/** A mission that is this run's, and how often the run has taken its worker along with it; see `countedStage`. */
export type Claim = BegunStage;

/**
 * Claims the mission for this run, and counts that its first stage begins.
 *
 * @returns null when a run that is still open holds it
 */
export async function claimMission(
  deps: RunnerDependencies,
  userId: UserId,
  run: Claimant,
): Promise<Claim | null> {
  const claim = await deps.database.asUser(userId, (tx) => claimMissionSlot(tx, run));
  if (!('holder' in claim)) return claim;
  const { holder } = claim;
  if (await deps.isRunOpen(holder.workflowId, holder.runId)) return null;
  // What the dead run left stays until this one forgets; its claim ends now, or nobody would know of it any more. A run
  // that was reset has the same workflow id and goes on.
  if (holder.workflowId !== run.workflowId) {
    await endClaim(deps.database, userId, { ...run, runId: holder.runId }, () => Promise.resolve());
  }
  const takenOver = await deps.database.asUser(userId, async (tx) =>
    (await takeOverMissionSlot(tx, holder.runId, run)) ? beginStage(tx, run, 'load') : null,
  );
  // Somebody was faster: another run, or another try of this one, whose mission it is then.
  return takenOver ?? claimMission(deps, userId, run);
}

/**
 * Claims one of the agent's places for this run.
 *
 * @returns false when `maxConcurrentMissions` other missions hold one and their runs are open
 */
export async function claimAgentSlot(
  deps: RunnerDependencies,
  userId: UserId,
  run: OwnRun & { readonly agentId: string },
): Promise<boolean> {
  if (await tryAgentSlot(deps, userId, run)) return true;
  const holders = await deps.database.asUser(userId, (tx) =>
    otherSlotsOfAgent(tx, run.agentId, run.missionId),
  );
  const open = await Promise.all(holders.map((holder) => deps.isRunOpen(holder.workflowId, holder.runId)));
  const dead = holders.filter((_, index) => open[index] === false);
  if (dead.length === 0) return false;
  for (const slot of dead) await forgetRun(deps.database, userId, slot);
  return tryAgentSlot(deps, userId, run);
}

const tryAgentSlot = (
  deps: RunnerDependencies,
  userId: UserId,
  run: OwnRun & { readonly agentId: string },
): Promise<boolean> =>
  deps.database.asUser(userId, async (tx) => {
    lockAgent(tx, run.agentId);
    const others = await otherSlotsOfAgent(tx, run.agentId, run.missionId);
    const limit = await concurrencyLimit(tx, run.agentId);
    const isFree =
      others.length < limit ||
      others.length - (await releaseWaitingPlaces(tx, run.agentId, run.missionId)) < limit;
    if (!isFree) return false;
    await holdAgent(tx, run);
    return true;
  });

async function concurrencyLimit(tx: UserTransaction, agentId: string): Promise<number> {
  const read = await readAgent(tx, agentId);
  return read?.agent.maxConcurrentMissions ?? 1;
}

/**
 * Lets go of the agent's place when the work fails: the next attempt comes after a wait, and the place is for whoever asks the
 * model. A round takes it again before it asks.
 *
 * @throws what the work threw
 */
export async function lettingGoOfPlace<T>(
  deps: RunnerDependencies,
  run: OwnRun & { readonly userId: UserId; readonly agentId: string | null },
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    await letGoOfPlace(deps, run);
    throw error;
  }
}

/** Lets go of the agent's place, if the run has an agent, or leaves it to a later attempt. */
export async function letGoOfPlace(
  deps: RunnerDependencies,
  run: OwnRun & { readonly userId: UserId; readonly agentId: string | null },
): Promise<void> {
  if (run.agentId === null) return;
  try {
    await deps.database.asUser(run.userId, (tx) => releaseAgent(tx, run));
  } catch {
    // The error of the work is the one to report; the place is let go of after the next attempt.
  }
}

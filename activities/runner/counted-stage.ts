import { isLastChance, takeTurn } from '../lost-attempts.ts';
import { beginStage, endStage } from '../../db/run-slots.ts';
import type { RunSlot } from '../../db/run-slots.ts';
import type { Database, UserTransaction } from '../../db/client.ts';
import { MAX_LOST_ATTEMPTS, TurnTakenError, WorkerLostError } from '../../domain/errors.ts';
import type { UserId } from '../../domain/ids.ts';
import { countLostAttempt, countMissionPutAside } from '../../metrics/workers.ts';

type Run = Pick<RunSlot, 'missionId' | 'runId'>;

/**
 * A stage of a run that is a local activity: when its worker dies, the server hands the workflow task on for ever, and
 * nobody counts. So its beginnings are counted in the run's slot, and it is given up as `runActivity` gives up others.
 *
 * @param begin counts the beginning, committed before `work` starts; see `beginStage`
 * @param work ends the count in its own transaction when it ends well, or the slot is gone with it
 * @throws WorkerLostError, TurnTakenError
 */
export async function countedStage<T>(
  database: Database,
  userId: UserId,
  run: Run,
  options: {
    readonly name: string;
    readonly begun: number;
    /** Where a failure of the stage is to be written. */
    readonly iterationId: string;
    /** In place of new chances for the next stage, where none can do what this one could not. */
    readonly onGivenUp?: (tx: UserTransaction) => Promise<void>;
  },
  work: () => Promise<T>,
): Promise<T> {
  const lost = Math.max(0, options.begun - 1);
  const endWith = (count: number): Promise<void> =>
    database.asUser(userId, (tx) => endStage(tx, userId, run, count));
  if (lost > 0) countLostAttempt(options.name);
  if (lost >= MAX_LOST_ATTEMPTS) {
    if (options.onGivenUp === undefined) {
      // The next stage, which writes that, has its own chances.
      await endWith(0);
    } else {
      await database.asUser(userId, options.onGivenUp);
      countMissionPutAside(options.name);
    }
    throw new WorkerLostError(options.iterationId);
  }
  const giveTurnBack = isLastChance(lost) ? takeTurn() : () => undefined;
  if (giveTurnBack === null) {
    await endWith(lost);
    throw new TurnTakenError();
  }
  try {
    return await work();
  } catch (error) {
    // Where the database does not answer, this attempt counts as lost; the next one cannot begin without it either.
    await endWith(lost).catch(() => undefined);
    throw error;
  } finally {
    giveTurnBack();
  }
}

/** Begins a stage of a run that holds its mission. */
export const begin = (database: Database, userId: UserId, run: Run) =>
  database.asUser(userId, (tx) => beginStage(tx, userId, run));

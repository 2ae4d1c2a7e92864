import { isLastChance, takeTurn } from '#activities/lost-attempts.ts';
import { beginLastChance, endStage, type CountedPart, type RunSlot } from '#db/run-slots.ts';
import type { Database, UserTransaction } from '#db/client.ts';
import { MAX_LOST_ATTEMPTS, TurnTakenError, WorkerLostError } from '#domain/base/errors.ts';
import type { UserId } from '#domain/base/ids.ts';
import { countLostAttempt, countMissionPutAside, type CountedStageName } from '#metrics/workers.ts';

type Run = Pick<RunSlot, 'missionId' | 'runId'>;

interface CountedStage {
  readonly name: CountedStageName;
  readonly part: CountedPart;
  /** How many attempts of it took their worker along, see `beginStage`. */
  readonly lost: number;
  /** Where a failure of the stage is to be written. */
  readonly iterationId: string;
  /** What is done where no other stage can say that this one was given up. */
  readonly onGivenUp?: (tx: UserTransaction) => Promise<void>;
}

/**
 * A stage of a run that is a local activity: when its worker dies, the server hands the workflow task on for ever, and
 * nobody counts. So its beginnings are counted in the run's slot, and it is given up as `runActivity` gives up others.
 *
 * @param work ends the count in its own transaction when it ends well, or the slot is gone with it
 * @throws WorkerLostError, TurnTakenError
 */
export async function countedStage<T>(
  database: Database,
  userId: UserId,
  run: Run,
  stage: CountedStage,
  work: () => Promise<T>,
): Promise<T> {
  const { lost } = stage;
  if (lost > 0) countLostAttempt(stage.name);
  if (lost >= MAX_LOST_ATTEMPTS) {
    // The count stays: the stage is not begun again, even where nobody has heard yet that it was given up.
    if (stage.onGivenUp !== undefined) {
      await database.asUser(userId, stage.onGivenUp);
      countMissionPutAside(stage.name);
    }
    throw new WorkerLostError(stage.iterationId);
  }
  const giveTurnBack = isLastChance(lost) ? takeTurn() : () => undefined;
  if (giveTurnBack === null) throw new TurnTakenError();
  try {
    if (isLastChance(lost)) await beginCounted(database, userId, run, stage);
    return await endingInOrder(database, userId, run, stage, work);
  } finally {
    giveTurnBack();
  }
}

async function beginCounted(
  database: Database,
  userId: UserId,
  run: Run,
  { part }: CountedStage,
): Promise<void> {
  const begins = await database.asUser(userId, (tx) => beginLastChance(tx, run, part));
  if (!begins) throw new TurnTakenError();
}

async function endingInOrder<T>(
  database: Database,
  userId: UserId,
  run: Run,
  { part, lost }: CountedStage,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    // Where the database does not answer, this attempt counts as lost; the next one cannot begin without it either.
    await database.asUser(userId, (tx) => endStage(tx, run, part, lost)).catch(() => undefined);
    throw error;
  }
}

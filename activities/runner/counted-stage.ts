import { isLastChance, takeTurn } from '#activities/lost-attempts.ts';
import { persistently } from './persistently.ts';
import { beginLastChance, endStage, type CountedPart, type RunSlot } from '#db/run-slots.ts';
import type { Database, UserTransaction } from '#db/client.ts';
import {
  DatabaseUnavailableError,
  MAX_LOST_ATTEMPTS,
  TurnTakenError,
  WorkerLostError,
} from '#domain/base/errors.ts';
import type { UserId } from '#domain/base/ids.ts';
import { countLostAttempt, countMissionPutAside, type CountedStageName } from '#metrics/workers.ts';

/** Within the time of an attempt. Where the database is away for longer, nobody can begin another one meanwhile either. */
const TELL_WITHIN_MS = 20_000;

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
    return await work();
  } catch (error) {
    // Of another attempt the turn is, which has begun.
    if (!(error instanceof TurnTakenError)) await tellEnd(database, userId, run, stage);
    throw error;
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

/**
 * Counts that the attempt has ended in an orderly way. Often it failed because the database did not answer: then that is told when it
 * is back, or after three of them a run that harmed nobody would be given up. An attempt that began meanwhile is not counted either.
 */
async function tellEnd(
  database: Database,
  userId: UserId,
  run: Run,
  { part, lost }: CountedStage,
): Promise<void> {
  const tell = async (): Promise<void> => {
    try {
      await database.asUser(userId, (tx) => {
        endStage(tx, run, part, lost);
        return Promise.resolve();
      });
    } catch (error) {
      // What is refused now is refused again.
      if (error instanceof DatabaseUnavailableError) throw error;
    }
  };
  await persistently(tell, AbortSignal.timeout(TELL_WITHIN_MS)).catch(() => undefined);
}

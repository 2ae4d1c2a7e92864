import { ALWAYS_BACK_MS } from './project-changes.ts';
import type { Database } from '#db/client.ts';
import { readProjectionWork } from '#db/followed-changes.ts';

/** What a follower has to do now. */
export interface WorkFound {
  readonly rows: boolean;
  readonly schedules: boolean;
  readonly healings: boolean;
  /** Missions whose instants have passed, and whose runs may not have come. */
  readonly lateSeen: boolean;
}

export interface Look {
  readonly found: WorkFound;
  /** When to look again. */
  readonly againInMs: number;
}

const NOTHING: WorkFound = { rows: false, schedules: false, healings: false, lateSeen: false };
/** The server has this time to start a run by itself, before it is looked whether one has come. */
const RUN_COMES_WITHIN_MS = 2_000;
/** How often is looked for something to do. The log's writer is not ours: it tells nobody. */
const LOOK_EVERY_MS = 350;
/** Where nothing was found for so long, there is nobody to hurry for, and a look a second does. */
const QUIET_AFTER_MS = 60_000;
const QUIET_LOOK_EVERY_MS = 1_000;
/** A clock that was set, and a standby that took the primary's place, change what is to be done behind the same transactions. */
const LOOK_ANYHOW_MS = 5_000;

/**
 * Looks for something to do. Where the last looks found nothing, the database is asked only whether other transactions can be seen
 * since: while they are the same no row has come, whether its transaction began before others or behind them, and no table is read.
 *
 * @param now milliseconds that only go forwards
 */
export function createLook(
  database: Pick<Database, 'system' | 'visibleTransactions'>,
  now: () => number = () => performance.now(),
): () => Promise<Look> {
  let last = { visible: '', isQuiet: false, untilMs: 0 };
  let foundAtMs = now();
  const looked = (found: WorkFound): Look => ({
    found,
    againInMs: now() - foundAtMs < QUIET_AFTER_MS ? LOOK_EVERY_MS : QUIET_LOOK_EVERY_MS,
  });
  return async () => {
    if (last.isQuiet && now() < last.untilMs && (await database.visibleTransactions()) === last.visible)
      return looked(NOTHING);
    const askedAtMs = now();
    const work = await readProjectionWork(database.system, ALWAYS_BACK_MS);
    const { rows, schedules, visible } = work;
    const healInMs = work.healInMs ?? Infinity;
    const lateInMs = (work.lookAgainInMs ?? Infinity) + RUN_COMES_WITHIN_MS;
    const found = { rows, schedules, healings: healInMs <= 0, lateSeen: lateInMs <= 0 };
    const isNothing = !Object.values(found).includes(true);
    if (!isNothing) foundAtMs = askedAtMs;
    last = {
      visible,
      // Where others write all the time the small question would come on top of this one.
      isQuiet: visible === last.visible && isNothing,
      untilMs: askedAtMs + Math.min(healInMs, lateInMs, LOOK_ANYHOW_MS),
    };
    return looked(found);
  };
}

import { setTimeout as delay } from 'node:timers/promises';
import { makeMission, type AppliedMission, type MadeMission } from './apply-mission.ts';
import { type ProjectionDependencies, logFailure } from './dependencies.ts';
import { CONCURRENCY } from './in-parallel.ts';
import { Notes } from './note-applied.ts';
import {
  postponePending,
  readPendingMissions,
  readPendingUsers,
  type PendingMission,
} from '#db/schedule-state.ts';
import { isTemporalUnavailable } from '#temporal/grpc-status.ts';

/** Small, because what was read waits for its turn, and newer versions behind it. */
const BATCH_SIZE = 50;
/** Of the calls that are under way, so that whoever comes next finds a place. */
const MAX_OF_USER = 3;
/** How often to look for newly pending missions while a slow call is under way. */
const LOOK_EVERY_MS = 500;
const aWhile = (): Promise<void> => delay(LOOK_EVERY_MS, undefined, { ref: false });

export interface ApplyCounts {
  /** Missions brought up to date. */
  readonly applied: number;
  /** Schedules created, updated or removed. */
  readonly changed: number;
  /** Runs started because their instant had passed. */
  readonly started: number;
  /** Whether a namespace did not answer; what was not applied stays pending. */
  readonly isUnavailable: boolean;
}

/**
 * Brings Temporal's schedules up to date with the snapshots until nothing is left to do. One that fails is postponed: it
 * must not keep the others waiting, nor must one whose call hangs. While a namespace does not answer nothing more of its users is
 * tried.
 */
export async function applySchedules(
  deps: ProjectionDependencies,
  signal: AbortSignal,
): Promise<ApplyCounts> {
  const counts = { applied: 0, changed: 0, started: 0, isUnavailable: false };
  const calls = new Map<PendingMission, Promise<void>>();
  const silent = new Set<string>();
  const isSilent = (userId: string): boolean => silent.has(deps.schedules.namespaceOf(userId));
  const isOver = (): boolean => signal.aborted || silent.size === deps.schedules.namespaces.length;
  const count = ({ change, started }: AppliedMission): void => {
    counts.applied += 1;
    if (change !== 'unchanged') counts.changed += 1;
    if (started) counts.started += 1;
  };
  const notes = new Notes(deps, {
    onNoted: ({ made }) => count(made),
    onFailure: ({ mission }, error) => putOff(deps, mission, error),
  });
  const apply = async (mission: PendingMission): Promise<void> => {
    const made = await tryMission(deps, mission);
    if (made === 'unavailable') {
      counts.isUnavailable = true;
      silent.add(deps.schedules.namespaceOf(mission.userId));
    } else if (made !== 'failed') {
      if (made.toNote === null) count(made);
      else notes.add({ ...made.toNote, mission, made });
    }
    calls.delete(mission);
  };
  const nextBatch = inTurns(deps, isSilent);
  for (;;) {
    const unfinished = [...calls.keys(), ...notes.missions()];
    const batch = isOver() ? [] : await nextBatch(unfinished);
    let taken = 0;
    for (const mission of batch) {
      const ofUser = [...calls.keys(), ...notes.missions()].filter(({ userId }) => userId === mission.userId);
      if (ofUser.length >= MAX_OF_USER) continue;
      if (calls.size >= CONCURRENCY) await Promise.race(calls.values());
      if (isOver()) break;
      // Those of a user whose namespace has just failed to answer are not read again.
      if (!isSilent(mission.userId)) calls.set(mission, apply(mission));
      taken += 1;
    }
    if (taken > 0) continue;
    if (unfinished.length === 0) return counts;
    if (calls.size > 0) await Promise.race([...calls.values(), aWhile()]);
    // Before the next are read: those of a user with enough that are not noted could not be taken.
    notes.write();
    await Promise.race([notes.written(), aWhile()]);
  }
}

/** Users take turns: a hundred thousand missions of one must not keep the one of another waiting. */
function inTurns(
  deps: ProjectionDependencies,
  isSilent: (userId: string) => boolean,
): (except: PendingMission[]) => Promise<PendingMission[]> {
  const { system } = deps.database;
  let lastUser = '';
  return async (except) => {
    for (let isWholeRound = lastUser === ''; ;) {
      const found = await readPendingUsers(system, lastUser, BATCH_SIZE);
      lastUser = found.length < BATCH_SIZE ? '' : (found.at(-1) ?? '');
      const users = found.filter((userId) => !isSilent(userId));
      const batch = users.length === 0 ? [] : await readPendingMissions(system, users, BATCH_SIZE, except);
      // The missions of these users may all be postponed, and those of others not.
      if (batch.length > 0 || (isWholeRound && lastUser === '')) return batch;
      isWholeRound ||= lastUser === '';
    }
  };
}

async function tryMission(
  deps: ProjectionDependencies,
  mission: PendingMission,
): Promise<MadeMission | 'unavailable' | 'failed'> {
  try {
    return await makeMission(deps, mission);
  } catch (error) {
    await putOff(deps, mission, error);
    return isTemporalUnavailable(error) ? 'unavailable' : 'failed';
  }
}

async function putOff(deps: ProjectionDependencies, mission: PendingMission, error: unknown): Promise<void> {
  logFailure(deps, 'schedule not brought up to date; it stays pending', mission, error);
  await tryPostpone(deps, mission, isTemporalUnavailable(error));
}

/** Where the database does not take this either, reading the next missions says so. */
async function tryPostpone(
  deps: ProjectionDependencies,
  mission: PendingMission,
  isUnavailable: boolean,
): Promise<void> {
  try {
    await postponePending(deps.database.system, mission, isUnavailable ? 'shortly' : 'for a while');
  } catch (error) {
    logFailure(deps, 'schedule not postponed', mission, error);
  }
}

import type { Database, UserTransaction } from '#db/client.ts';
import { lockMission } from '#db/mission-lock.ts';
import { findProjectedMission, setOptedOut, type ProjectedMission } from '#db/mission-schedule.ts';
import { saveTimeZone, timeZoneAndSource } from '#db/time-zones.ts';
import { NotFoundError } from '#domain/base/errors.ts';
import type { MissionId, UserId } from '#domain/base/ids.ts';
import { viewSchedule, type TimeZoneSource } from '#domain/cadence/schedule-view.ts';
import type { MissionScheduleBody } from './schemas/mission-schedule.ts';

export interface ScheduleDependencies {
  readonly syncDatabase: Database;
  /** The note of an operator's pause in the Temporal UI, possibly empty; null if there is none. */
  readonly operatorNote: (userId: UserId, missionId: MissionId) => Promise<string | null>;
  /** The database's clock, in milliseconds since the epoch. */
  readonly readClock: (tx: UserTransaction) => Promise<number>;
}

interface ScheduleRecord extends ProjectedMission {
  readonly timeZone: string | null;
  readonly timeZoneSource: TimeZoneSource | null;
  readonly nowMs: number;
}

/**
 * What the mission's schedule is: from the database, but for an operator's pause, which stands in Temporal.
 *
 * @throws NotFoundError; TemporalUnavailableError rather than a guess
 */
export async function showSchedule(
  dependencies: ScheduleDependencies,
  userId: UserId,
  missionId: MissionId,
): Promise<MissionScheduleBody> {
  const { syncDatabase, readClock } = dependencies;
  const record = await syncDatabase.asUser(userId, (tx) => readRecord(tx, missionId, readClock));
  const note = await dependencies.operatorNote(userId, missionId);
  return bodyOf(missionId, record, note);
}

/**
 * Has the mission run in the background, in the time zone if one is named. Temporal is asked first, so that a request
 * that fails has changed nothing.
 *
 * @throws like `showSchedule`
 */
export async function putSchedule(
  dependencies: ScheduleDependencies,
  userId: UserId,
  missionId: MissionId,
  timeZone: string | null,
): Promise<MissionScheduleBody> {
  const { syncDatabase, operatorNote, readClock } = dependencies;
  await syncDatabase.asUser(userId, (tx) => requireMission(tx, missionId));
  const note = await operatorNote(userId, missionId);
  const record = await syncDatabase.asUser(userId, async (tx) => {
    lockMission(tx, missionId);
    await requireMission(tx, missionId);
    if (timeZone !== null) await saveTimeZone(tx, missionId, timeZone);
    await setOptedOut(tx, missionId, false);
    return readRecord(tx, missionId, readClock);
  });
  return bodyOf(missionId, record, note);
}

/**
 * Takes the mission out of the background; doing it again changes nothing.
 *
 * @throws NotFoundError
 */
export async function deleteSchedule(
  syncDatabase: Database,
  userId: UserId,
  missionId: MissionId,
): Promise<void> {
  await syncDatabase.asUser(userId, async (tx) => {
    lockMission(tx, missionId);
    await requireMission(tx, missionId);
    await setOptedOut(tx, missionId, true);
  });
}

/** @throws NotFoundError */
export async function requireMission(tx: UserTransaction, missionId: MissionId): Promise<ProjectedMission> {
  const mission = await findProjectedMission(tx, missionId);
  if (mission === null) throw new NotFoundError('no such mission');
  return mission;
}

async function readRecord(
  tx: UserTransaction,
  missionId: MissionId,
  readClock: ScheduleDependencies['readClock'],
): Promise<ScheduleRecord> {
  const mission = await requireMission(tx, missionId);
  const { timeZone, source } = await timeZoneAndSource(tx, missionId);
  return { ...mission, timeZone, timeZoneSource: source, nowMs: await readClock(tx) };
}

function bodyOf(
  missionId: MissionId,
  record: ScheduleRecord,
  operatorNote: string | null,
): MissionScheduleBody {
  const facts = { ...record, pausedByOperator: operatorNote !== null };
  const { nextFiresMs, pausedReason } = viewSchedule(facts, record.nowMs);
  return {
    missionId,
    timeZone: record.timeZone,
    timeZoneSource: record.timeZoneSource,
    cadence: record.cadence,
    nextRunAt: record.nextRunAtMs === null ? null : isoOf(record.nextRunAtMs),
    nextFires: nextFiresMs.map(isoOf),
    paused: pausedReason !== null,
    pausedReason,
    pausedNote: pausedReason === 'operator' ? operatorNote : null,
  };
}

const isoOf = (ms: number): string => new Date(ms).toISOString();

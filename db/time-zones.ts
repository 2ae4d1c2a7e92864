import type { UserTransaction } from './client.ts';
import type { MissionId, UserId } from '../domain/ids.ts';

/**
 * Keeps the time zone (IANA) in which the mission's cadence is meant; the last one named counts. Where that changes the
 * zone of a mission, its schedule becomes pending. Call it under the mission's lock.
 */
export async function saveTimeZone(
  tx: UserTransaction,
  userId: UserId,
  missionId: MissionId,
  timeZone: string,
): Promise<void> {
  const before = await timeZoneOfMission(tx, userId, missionId);
  await tx`
    insert into mana_ai.mission_time_zones (user_id, mission_id, time_zone)
    values (${userId}, ${missionId}, ${timeZone})
    on conflict (user_id, mission_id)
      do update set time_zone = excluded.time_zone, updated_at = clock_timestamp()`;
  if (before !== timeZone) await makeSchedulesPending(tx, userId, missionId);
}

/** Of the mission, and of those without a zone of their own: they follow the last one named, see `timeZoneOfMission`. */
async function makeSchedulesPending(
  tx: UserTransaction,
  userId: UserId,
  missionId: MissionId,
): Promise<void> {
  await tx`
    update mana_ai.mission_snapshots snapshots set version = version + 1
    where user_id = ${userId} and (mission_id = ${missionId} or not exists (
      select from mana_ai.mission_time_zones zones
      where zones.user_id = snapshots.user_id and zones.mission_id = snapshots.mission_id))`;
}

/**
 * The zone in which a mission's cadence is meant: its own, else the one that the user named last for another mission.
 * Null if the user never named one.
 */
export async function timeZoneOfMission(
  tx: UserTransaction,
  userId: UserId,
  missionId: MissionId,
): Promise<string | null> {
  const [row] = await tx<{ timeZone: string }[]>`
    select time_zone as "timeZone" from mana_ai.mission_time_zones
    where user_id = ${userId} order by mission_id = ${missionId} desc, updated_at desc limit 1`;
  return row?.timeZone ?? null;
}

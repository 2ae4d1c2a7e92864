import type { UserTransaction } from './client.ts';
import { sql, type Fragment } from './sql.ts';
import { clockMs } from './sync-changes.ts';
import type { MissionId } from '#domain/base/ids.ts';
import { isTimeZone } from '#domain/cadence/cadence.ts';
import type { TimeZoneSource } from '#domain/cadence/schedule-view.ts';
import { timeZoneOfOffset } from '#domain/cadence/utc-offset.ts';

/**
 * Keeps the time zone (IANA) in which the mission's cadence is meant; the last one named counts. The schedules whose zone
 * that may change become pending. Call it under the mission's lock.
 */
export async function saveTimeZone(
  tx: UserTransaction,
  missionId: MissionId,
  timeZone: string,
): Promise<void> {
  const before = await timeZoneOfMission(tx, missionId);
  const lastNamed = await lastNamedTimeZone(tx);
  await tx`
    insert into mana_ai.mission_time_zones (user_id, mission_id, time_zone)
    values (${tx.userId}, ${missionId}, ${timeZone})
    on conflict (user_id, mission_id)
      do update set time_zone = excluded.time_zone, updated_at = clock_timestamp()`;
  if (before !== timeZone || lastNamed !== timeZone) await makeSchedulesPending(tx, missionId);
}

async function lastNamedTimeZone(tx: UserTransaction): Promise<string | null> {
  const [row] = await tx<{ timeZone: string }[]>`
    select time_zone as "timeZone" from mana_ai.mission_time_zones
    where user_id = ${tx.userId} order by updated_at desc limit 1`;
  return row?.timeZone ?? null;
}

/**
 * Of the mission, and of those without a zone of their own: they follow the last one named, see `knownZone`. The rows are
 * locked in the order of their key, or a pass of the projection that saves several of them could deadlock with this.
 */
async function makeSchedulesPending(tx: UserTransaction, missionId: MissionId): Promise<void> {
  await tx`
    update mana_ai.mission_snapshots snapshots set version = version + 1
    from (
      select mission_id from mana_ai.mission_snapshots bare
      where user_id = ${tx.userId} and (mission_id = ${missionId} or not exists (
        select from mana_ai.mission_time_zones zones
        where zones.user_id = bare.user_id and zones.mission_id = bare.mission_id))
      order by mission_id for update
    ) followers
    where snapshots.user_id = ${tx.userId} and snapshots.mission_id = followers.mission_id`;
}

/** A row of `knownZone`: a zone that the user named, an offset that devices showed, or nothing. */
export type KnownZone =
  { readonly named: string; readonly isOwn: boolean } | { readonly shownOffsetMinutes: number } | null;

/** A zone (IANA) and where it comes from; both null where nothing is known. */
export interface SourcedTimeZone {
  readonly timeZone: string | null;
  readonly source: TimeZoneSource | null;
}

/**
 * The zone in which a mission's cadence is meant, as an expression that yields a `KnownZone`. It is the zone named for the
 * mission, else the one that the user named last for another, else the offset that devices showed for the mission, else
 * the one shown last for another (docs/architecture.md section 5).
 *
 * @param userId an SQL expression, likewise `missionId`: columns for many missions, parameters for one
 */
export const knownZone = (userId: Fragment, missionId: Fragment) => sql`
  coalesce(
    (select jsonb_build_object('named', zones.time_zone, 'isOwn', zones.mission_id = ${missionId})
     from mana_ai.mission_time_zones zones where zones.user_id = ${userId}
     order by zones.mission_id = ${missionId} desc, zones.updated_at desc limit 1),
    (select jsonb_build_object('shownOffsetMinutes', shown.device_utc_offset_minutes)
     from mana_ai.mission_snapshots shown
     where shown.user_id = ${userId} and shown.mission_id = ${missionId}
       and shown.device_utc_offset_minutes is not null),
    (select jsonb_build_object('shownOffsetMinutes', shown.device_utc_offset_minutes)
     from mana_ai.mission_snapshots shown
     where shown.user_id = ${userId} and shown.device_utc_offset_minutes is not null
     order by shown.device_offset_at desc limit 1))`;

/** Names the zone of a `KnownZone`. One that another Node knew and this one does not counts as unknown. */
export function sourcedTimeZone(zone: KnownZone): SourcedTimeZone {
  if (zone === null || ('named' in zone && !isTimeZone(zone.named))) return { timeZone: null, source: null };
  if ('named' in zone) return { timeZone: zone.named, source: zone.isOwn ? 'mission' : 'user' };
  const timeZone = timeZoneOfOffset(zone.shownOffsetMinutes);
  return { timeZone, source: timeZone === null ? null : 'inferred' };
}

/** The zone in which a mission's cadence is meant, and where it comes from: see `knownZone`. */
export async function timeZoneAndSource(tx: UserTransaction, missionId: MissionId): Promise<SourcedTimeZone> {
  const zone = knownZone(sql`${tx.userId}::text`, sql`${missionId}::text`);
  const [row] = await tx<{ zone: KnownZone }[]>`select ${zone} as zone`;
  return sourcedTimeZone(row?.zone ?? null);
}

/** The database's clock, see `readClockMs`, and the zone of `timeZoneOfMission`. */
export async function readClockAndZone(
  tx: UserTransaction,
  missionId: MissionId,
): Promise<{ readonly nowMs: number; readonly timeZone: string | null }> {
  const zone = knownZone(sql`${tx.userId}::text`, sql`${missionId}::text`);
  const [row] = await tx<{ nowMs: number; zone: KnownZone }[]>`select ${clockMs} as "nowMs", ${zone} as zone`;
  if (row === undefined) throw new Error('the database returned no clock');
  return { nowMs: row.nowMs, timeZone: sourcedTimeZone(row.zone).timeZone };
}

/** The zone (IANA) in which a mission's cadence is meant, see `knownZone`; null where nothing is known. */
export async function timeZoneOfMission(tx: UserTransaction, missionId: MissionId): Promise<string | null> {
  return (await timeZoneAndSource(tx, missionId)).timeZone;
}

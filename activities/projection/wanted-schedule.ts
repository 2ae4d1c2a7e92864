import type { AppliedSchedule, PendingMission } from '#db/schedule-state.ts';
import { wallClockFields } from '#domain/cadence/cadence.ts';
import {
  missionScheduleSpec,
  wouldFireNextAt,
  type MissionScheduleSpec,
} from '#domain/cadence/schedule-spec.ts';
import { zonedCadence } from '#domain/cadence/zoned-cadence.ts';

/** The schedule that a mission should have. */
export interface WantedSchedule {
  readonly schedule: AppliedSchedule;
  readonly spec: MissionScheduleSpec;
  /** Whether it is the very one that was applied: nothing is to be sent. */
  readonly isApplied: boolean;
}

/**
 * No update is sent when the present spec would fire exactly at the new `nextRunAt`, as it does after every run. Then the
 * schedule that was applied is the one to keep, first instant included, and the next one has to be compared with it.
 *
 * @param followsZone whether the server's calendars follow a zone as we do
 * @returns null for missions that have no schedule: gone, not active, opted out, never to fire, or one too many of
 *   their user
 */
export async function wantedSchedule(
  mission: PendingMission,
  followsZone: (timeZone: string) => Promise<boolean>,
): Promise<WantedSchedule | null> {
  const wanted = await newSchedule(mission, followsZone);
  const { applied } = mission;
  const isApplied = wanted !== null && applied !== null && firesAs(applied, wanted, mission.nowMs());
  const schedule = isApplied ? applied : wanted;
  const spec = schedule === null ? null : missionScheduleSpec(schedule);
  return schedule === null || spec === null ? null : { schedule, spec, isApplied };
}

/** Whether a mission is to be started at its instants at all. */
export const runsByItself = ({ exists, state, isOptedOut, cadence }: PendingMission): boolean =>
  exists && state === 'active' && !isOptedOut && cadence !== null;

async function newSchedule(
  mission: PendingMission,
  followsZone: (timeZone: string) => Promise<boolean>,
): Promise<AppliedSchedule | null> {
  const { cadence, nextRunAtMs, agentId } = mission;
  if (!runsByItself(mission) || cadence === null) return null;
  if (mission.isOverLimit) return null;
  const zoned = zonedCadence(cadence, mission.timeZone);
  const isOurs =
    isWithoutRules(zoned.timeZone) ||
    wallClockFields(zoned.cadence) === null ||
    (await followsZone(zoned.timeZone));
  return { ...zoned, nextRunAtMs, agentId, ...(isOurs ? {} : { computedFromMs: mission.nowMs() }) };
}

/** Zones about which no two databases disagree. */
const isWithoutRules = (timeZone: string): boolean => timeZone === 'UTC' || timeZone.startsWith('Etc/');

const firesAs = (applied: AppliedSchedule, wanted: AppliedSchedule, nowMs: number): boolean =>
  applied.agentId === wanted.agentId &&
  (isSameTiming(applied, wanted) || wouldFireNextAt(applied, wanted, nowMs));

/** Spares the calendars' arithmetic: a reconcile compares every mission, and nearly all are as they were applied. */
const isSameTiming = (one: AppliedSchedule, other: AppliedSchedule): boolean =>
  // Computed instants run out.
  one.computedFromMs === undefined &&
  other.computedFromMs === undefined &&
  one.nextRunAtMs === other.nextRunAtMs &&
  one.timeZone === other.timeZone &&
  JSON.stringify(one.cadence) === JSON.stringify(other.cadence);

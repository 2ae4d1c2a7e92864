import type { AppliedSchedule, PendingMission } from '../../db/schedule-state.ts';
import { missionScheduleSpec, wouldFireNextAt } from '../../domain/schedule-spec.ts';
import type { MissionScheduleSpec } from '../../domain/schedule-spec.ts';
import { zonedCadence } from '../../domain/zoned-cadence.ts';

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
 * @returns null for missions that have no schedule: gone, not active, opted out, or never to fire
 */
export function wantedSchedule(mission: PendingMission): WantedSchedule | null {
  const wanted = newSchedule(mission);
  const { applied } = mission;
  const isApplied = wanted !== null && applied !== null && firesAs(applied, wanted);
  const schedule = isApplied ? applied : wanted;
  const spec = schedule === null ? null : missionScheduleSpec(schedule);
  return schedule === null || spec === null ? null : { schedule, spec, isApplied };
}

function newSchedule(mission: PendingMission): AppliedSchedule | null {
  const { cadence, nextRunAtMs, agentId } = mission;
  if (!mission.exists || mission.state !== 'active' || mission.isOptedOut || cadence === null) return null;
  return { ...zonedCadence(cadence, mission.timeZone), nextRunAtMs, agentId };
}

const firesAs = (applied: AppliedSchedule, wanted: AppliedSchedule): boolean =>
  applied.agentId === wanted.agentId &&
  (isSameTiming(applied, wanted) || wouldFireNextAt(applied, wanted, Date.now()));

/** Spares the calendars' arithmetic: a reconcile compares every mission, and nearly all are as they were applied. */
const isSameTiming = (one: AppliedSchedule, other: AppliedSchedule): boolean =>
  one.nextRunAtMs === other.nextRunAtMs &&
  one.timeZone === other.timeZone &&
  JSON.stringify(one.cadence) === JSON.stringify(other.cadence);

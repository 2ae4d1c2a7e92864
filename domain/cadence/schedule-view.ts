import type { Cadence } from '#domain/wire/mission.ts';
import { nextFires } from './next-fires.ts';
import { zonedCadence } from './zoned-cadence.ts';

/** Where the time zone of a mission comes from. */
export const TIME_ZONE_SOURCES = ['mission', 'user', 'inferred'] as const;
export type TimeZoneSource = (typeof TIME_ZONE_SOURCES)[number];

export const PAUSE_REASONS = [
  'mission-paused',
  'mission-done',
  'mission-archived',
  'opted-out',
  'agent-paused',
  'agent-archived',
  'operator',
  'no-cadence',
] as const;
/** Why a mission does not run by itself: what has to change first. `no-cadence` = nothing says when. */
export type PauseReason = (typeof PAUSE_REASONS)[number];

export interface ScheduleFacts {
  readonly state: string | null;
  readonly cadence: Cadence | null;
  /** Epoch milliseconds. */
  readonly nextRunAtMs: number | null;
  /** Null without an agent, or where nobody knows it. */
  readonly agentState: string | null;
  readonly optedOut: boolean;
  /** IANA name; null where nobody named one. */
  readonly timeZone: string | null;
  /** An operator paused the schedule in the Temporal UI. */
  readonly pausedByOperator: boolean;
}

export interface ScheduleView {
  /** Epoch milliseconds, see `nextFires`; empty while the mission is paused. */
  readonly nextFiresMs: readonly number[];
  readonly pausedReason: PauseReason | null;
}

/** What a user is shown of a mission's schedule. */
export function viewSchedule(facts: ScheduleFacts, nowMs: number): ScheduleView {
  const reason = holdOf(facts);
  if (reason !== null) return { nextFiresMs: [], pausedReason: reason };
  const { cadence, nextRunAtMs, timeZone } = facts;
  const nextFiresMs =
    cadence === null ? [] : nextFires({ ...zonedCadence(cadence, timeZone), nextRunAtMs }, nowMs);
  // An instant that has passed is about to be run.
  const isDue = cadence !== null && nextRunAtMs !== null && nextRunAtMs <= nowMs;
  return { nextFiresMs, pausedReason: nextFiresMs.length === 0 && !isDue ? 'no-cadence' : null };
}

/** Everything that holds the mission back, in the order in which `viewSchedule` would tell it once the one before has gone. */
export function allHolds(facts: ScheduleFacts): PauseReason[] {
  const reason = holdOf(facts);
  return reason === null ? [] : [reason, ...allHolds({ ...facts, ...WITHOUT[reason] })];
}

/** The facts as they are once a reason has gone. */
const WITHOUT: Readonly<Record<PauseReason, Partial<ScheduleFacts>>> = {
  'mission-done': { state: 'active' },
  'mission-archived': { state: 'active' },
  'mission-paused': { state: 'active' },
  'opted-out': { optedOut: false },
  'agent-archived': { agentState: null },
  'agent-paused': { agentState: null },
  operator: { pausedByOperator: false },
  'no-cadence': {},
};

/** Who holds the mission back. */
function holdOf({ state, optedOut, agentState, pausedByOperator }: ScheduleFacts): PauseReason | null {
  if (state === 'done') return 'mission-done';
  if (state === 'archived') return 'mission-archived';
  // A state that nobody knows does not run either.
  if (state !== 'active') return 'mission-paused';
  if (optedOut) return 'opted-out';
  if (agentState === 'archived') return 'agent-archived';
  if (agentState !== null && agentState !== 'active') return 'agent-paused';
  return pausedByOperator ? 'operator' : null;
}

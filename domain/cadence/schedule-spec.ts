import {
  cadencePeriodMs,
  hasClockChange,
  nextCadenceInstant,
  nextWallClockInstant,
  wallClockFields,
} from './cadence.ts';
import type { CronFields } from './cron.ts';
import type { Cadence } from '#domain/wire/mission.ts';

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
/**
 * An interval so long that it fires once in the life of a mission. The server computes from 1970 on: one that is
 * longer than the time since then would never fire (docs/architecture.md section 5).
 */
const ONCE_EVERY_MS = 18_250 * DAY_MS;
const LONGEST_JITTER_MS = 120_000;
/** The server's calendars end with the year 2100. */
const LATEST_FIRE_MS = Date.UTC(2100, 0, 1);
/** The server repeats or drops calendar times within hours of a clock change; a day on both sides is safe. */
const CLOCK_CHANGE_MARGIN_MS = DAY_MS + 2 * HOUR_MS;

/** So many instants of a mission stand in its schedule where the server cannot compute them. */
const COMPUTED_INSTANTS = 16;
/** With fewer of them ahead, a schedule is sent anew. */
const FEWEST_INSTANTS = 4;

/** What a mission's Temporal Schedule depends on. */
export interface MissionTiming {
  readonly cadence: Cadence;
  /** `nextRunAt` in epoch milliseconds, null when absent. */
  readonly nextRunAtMs: number | null;
  /** IANA name. */
  readonly timeZone: string;
  /**
   * Present where the server's calendars do not follow the zone as we do (it refuses it, or has other rules): then the
   * schedule holds the next instants themselves, computed here, from this epoch milliseconds on.
   */
  readonly computedFromMs?: number;
}

/** When a mission's schedule fires: the union of intervals and calendars from `startAtMs` on. Plain JSON. */
export interface MissionScheduleSpec {
  /** Epoch milliseconds, whole seconds; null: from now on. */
  readonly startAtMs: number | null;
  /** Fires at `offsetMs + k * everyMs` since 1970. */
  readonly intervals: readonly { readonly everyMs: number; readonly offsetMs: number }[];
  /** Within one calendar all fields must match; at second 0 of the wall clock of `timeZone`. */
  readonly calendars: readonly CronFields[];
  /** `UTC` when there are no calendars. */
  readonly timeZone: string;
  /** The server adds up to this much to each nominal time. */
  readonly jitterMs: number;
}

/**
 * When the schedule of a mission should fire: at `nextRunAt`, rounded up to the second because the server cuts
 * milliseconds, and at the cadence from then on.
 *
 * `nextRunAt` is an interval of its own beside the calendars: they skip a local time in a DST gap and may take the
 * second one of a fold, where the web app's `nextRunAt` means another instant. A passed `nextRunAt` never fires.
 *
 * @returns null when nothing is to be fired: no `nextRunAt` (but cron does without), or one beyond the year 2099
 * @throws RangeError if a wall-clock cadence meets an unknown time zone
 * @see docs/architecture.md section 5
 */
export function missionScheduleSpec(timing: MissionTiming): MissionScheduleSpec | null {
  const { cadence, timeZone } = timing;
  const startAtMs = firstFireMs(timing.nextRunAtMs);
  const fields = wallClockFields(cadence);
  if (fields !== null && timing.computedFromMs !== undefined) return computedSpec(timing);
  if (startAtMs === null) {
    if (timing.nextRunAtMs !== null || cadence.kind !== 'cron' || fields === null) return null;
    return {
      startAtMs,
      intervals: [],
      calendars: calendarsOf(fields),
      timeZone,
      jitterMs: longestJitterMs(cadence),
    };
  }
  const everyMs = cadence.kind === 'interval' ? cadence.everyMinutes * MINUTE_MS : ONCE_EVERY_MS;
  const intervals = [{ everyMs, offsetMs: startAtMs % everyMs }];
  if (fields === null) return { startAtMs, intervals, calendars: [], timeZone: 'UTC', jitterMs: 0 };
  const jitterMs = isOnCadence(timing) ? longestJitterMs(cadence) : 0;
  return { startAtMs, intervals, calendars: calendarsOf(fields), timeZone, jitterMs };
}

/** The next instants themselves, each as an interval that comes once in the life of a mission. */
function computedSpec(timing: MissionTiming): MissionScheduleSpec | null {
  const instants = computedInstants(timing);
  const [startAtMs] = instants;
  if (startAtMs === undefined) return null;
  const intervals = instants.map((ms) => ({ everyMs: ONCE_EVERY_MS, offsetMs: ms % ONCE_EVERY_MS }));
  const isExact = timing.nextRunAtMs !== null && !isOnCadence(timing);
  const jitterMs = isExact ? 0 : longestJitterMs(timing.cadence);
  return { startAtMs, intervals, calendars: [], timeZone: 'UTC', jitterMs };
}

/** Ascending; empty where nothing is computed here, and where nothing is to be fired. */
function computedInstants({ cadence, nextRunAtMs, timeZone, computedFromMs }: MissionTiming): number[] {
  const fields = wallClockFields(cadence);
  if (fields === null || computedFromMs === undefined) return [];
  const startAtMs = firstFireMs(nextRunAtMs);
  if (startAtMs === null && (nextRunAtMs !== null || cadence.kind !== 'cron')) return [];
  const instants = startAtMs === null ? [] : [startAtMs];
  while (instants.length < COMPUTED_INSTANTS) {
    const next = nextWallClockInstant(fields, instants.at(-1) ?? computedFromMs, timeZone);
    if (next === null || next >= LATEST_FIRE_MS) break;
    instants.push(next);
  }
  return instants;
}

function firstFireMs(nextRunAtMs: number | null): number | null {
  if (nextRunAtMs === null || !(nextRunAtMs < LATEST_FIRE_MS)) return null;
  return Math.max(0, Math.ceil(nextRunAtMs / SECOND_MS) * SECOND_MS);
}

/** The server wants both day fields of a calendar to match, cron either of them. */
function calendarsOf(fields: CronFields): CronFields[] {
  if (fields.daysOfMonth === null || fields.daysOfWeek === null) return [fields];
  return [
    { ...fields, daysOfWeek: null },
    { ...fields, daysOfMonth: null },
  ];
}

/** A time set by hand is meant exactly; one that the cadence gave may be spread. */
function isOnCadence({ cadence, nextRunAtMs, timeZone }: MissionTiming): boolean {
  if (nextRunAtMs === null) return false;
  return (
    nextCadenceInstant({ cadence, anchorMs: nextRunAtMs, afterMs: nextRunAtMs - 1, timeZone }) === nextRunAtMs
  );
}

const longestJitterMs = (cadence: Cadence): number =>
  Math.min(Math.floor((cadencePeriodMs(cadence) ?? 0) / 10), LONGEST_JITTER_MS);

/**
 * When a spec fires next strictly after an instant, without jitter. Within a day of a change of the zone's clock the
 * server may fire at other instants: see `wouldFireNextAt`.
 *
 * @returns epoch milliseconds, null if never
 */
export function nextFireMs(spec: MissionScheduleSpec, afterMs: number): number | null {
  const after = Math.max(afterMs, (spec.startAtMs ?? 0) - 1);
  const fires = [
    ...spec.intervals.map(
      ({ everyMs, offsetMs }) => offsetMs + (Math.floor((after - offsetMs) / everyMs) + 1) * everyMs,
    ),
    ...spec.calendars.map((calendar) => nextWallClockInstant(calendar, after, spec.timeZone)),
  ].filter((fire) => fire !== null);
  return fires.length === 0 ? null : Math.min(...fires);
}

/**
 * Whether a schedule made for `present` already does what `desired` asks for, so that no update needs to be sent:
 * the same cadence, zone and jitter, and the same next instant. Always false near a change of the zone's clock, where
 * the calendars of the server and the web app part.
 *
 * @param nowMs epoch milliseconds
 */
export function wouldFireNextAt(present: MissionTiming, desired: MissionTiming, nowMs: number): boolean {
  const presentSpec = missionScheduleSpec(present);
  const desiredSpec = missionScheduleSpec(desired);
  if (presentSpec === null || desiredSpec === null) return false;
  if (recurrence(presentSpec) !== recurrence(desiredSpec)) return false;
  if (desired.computedFromMs !== undefined) return holdsInstantsOf(present, desired, nowMs);
  const nextMs = nextFireMs(desiredSpec, nowMs);
  if (nextMs === null || nextMs !== nextFireMs(presentSpec, nowMs)) return false;
  if (desiredSpec.calendars.length === 0) return true;
  return !hasClockChange(
    desiredSpec.timeZone,
    nowMs - CLOCK_CHANGE_MARGIN_MS,
    nextMs + CLOCK_CHANGE_MARGIN_MS,
  );
}

/** Whether a schedule of computed instants still holds enough of them, and none that is not wanted. */
function holdsInstantsOf(present: MissionTiming, desired: MissionTiming, nowMs: number): boolean {
  const ahead = computedInstants(present).filter((ms) => ms > nowMs);
  const wanted = computedInstants(desired).filter((ms) => ms > nowMs);
  // The last of a mission's instants may be few.
  const fewest = Math.max(1, Math.min(FEWEST_INSTANTS, wanted.length));
  return ahead.length >= fewest && ahead.every((ms, index) => ms === wanted[index]);
}

/** All of a spec but its phase, as text; an instant that comes once is a phase. */
const recurrence = (spec: MissionScheduleSpec): string =>
  JSON.stringify([[...new Set(spec.intervals.map(({ everyMs }) => everyMs))], ...calendarPart(spec)]);

/** A text that is the same for specs that fire alike, for hashing. */
export const canonicalSpec = (spec: MissionScheduleSpec): string =>
  JSON.stringify([
    spec.startAtMs,
    spec.intervals.map(({ everyMs, offsetMs }) => [everyMs, offsetMs]),
    ...calendarPart(spec),
  ]);

const calendarPart = ({ calendars, timeZone, jitterMs }: MissionScheduleSpec): readonly unknown[] => [
  calendars.map(({ minutes, hours, daysOfMonth, months, daysOfWeek }) => [
    minutes,
    hours,
    daysOfMonth,
    months,
    daysOfWeek,
  ]),
  timeZone,
  jitterMs,
];

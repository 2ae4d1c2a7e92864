import { Temporal } from 'temporal-polyfill';
import { cronOccurrences, parseCron, type CronFields } from './cron.ts';
import { cadenceSchema, type Cadence } from '#domain/wire/mission.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** Instants are computed up to the year 9000; beyond, dates and libraries run out. */
const LATEST_MS = Date.UTC(9000, 0, 1);
/** How many gaps of a cron expression are compared; enough to see the shortest of any practical one. */
const GAPS_COMPARED = 64;

/**
 * The first instant of a cadence strictly after another instant.
 *
 * Intervals lie on the grid `anchorMs + k * everyMinutes`, k = 0, 1, 2 and so on. Daily, weekly and cron cadences
 * follow the wall clock of the zone, each local time once, like the web app: a local time in a DST gap moves on by the
 * gap, one that occurs twice means the first. Cron with both day fields restricted matches either of them.
 *
 * @param anchorMs epoch milliseconds; only intervals use it
 * @param afterMs epoch milliseconds
 * @param timeZone an IANA name that `isTimeZone` accepts
 * @returns epoch milliseconds; null for manual, for an unreadable cadence and when there is no such instant
 * @throws RangeError if a wall-clock cadence meets a time zone that `isTimeZone` refuses
 * @see docs/platform.md section 2; docs/architecture.md section 4
 */
export function nextCadenceInstant(input: {
  readonly cadence: Cadence;
  readonly anchorMs: number;
  readonly afterMs: number;
  readonly timeZone: string;
}): number | null {
  const { cadence, anchorMs, afterMs, timeZone } = input;
  if (!cadenceSchema.safeParse(cadence).success) return null;
  if (cadence.kind === 'interval')
    return nextGridInstant(anchorMs, cadence.everyMinutes * MINUTE_MS, afterMs);
  const fields = wallClockFields(cadence);
  return fields && nextWallClockInstant(fields, afterMs, timeZone);
}

function nextGridInstant(anchorMs: number, everyMs: number, afterMs: number): number | null {
  const steps = Math.max(0, Math.floor((afterMs - anchorMs) / everyMs) + 1);
  const next = anchorMs + steps * everyMs;
  return next <= LATEST_MS ? next : null;
}

/** The wall-clock times of a cadence as cron fields; null for manual, interval and unreadable cadences. */
export function wallClockFields(cadence: Cadence): CronFields | null {
  const anyDate = { daysOfMonth: null, months: null, daysOfWeek: null };
  switch (cadence.kind) {
    case 'daily':
      return { ...anyDate, minutes: [cadence.atMinute], hours: [cadence.atHour] };
    case 'weekly':
      return { ...anyDate, minutes: [0], hours: [cadence.atHour], daysOfWeek: [cadence.dayOfWeek] };
    case 'cron':
      return parseCron(cadence.expression);
    case 'manual':
    case 'interval':
      return null;
  }
}

/** Like `nextCadenceInstant`, for fields that follow the wall clock of a zone. */
export function nextWallClockInstant(fields: CronFields, afterMs: number, timeZone: string): number | null {
  if (!(afterMs <= LATEST_MS)) return null;
  const after = Math.max(0, Math.floor(afterMs));
  // A local time in a gap is resolved with the offset before it, so the search starts on the earlier of both clocks.
  const offset = Math.min(utcOffsetMs(after, timeZone), utcOffsetMs(after - DAY_MS, timeZone));
  let earliest: number | null = null;
  let lastWallMs = Infinity;
  for (const wallMs of cronOccurrences(fields, after + offset)) {
    if (wallMs > lastWallMs) break;
    const instant = toInstantMs(wallMs, timeZone);
    if (instant <= after || (earliest !== null && instant >= earliest)) continue;
    // A time that was moved on by a gap may be overtaken by one after the gap: look on until that one's wall clock.
    earliest = instant;
    lastWallMs = instant + utcOffsetMs(instant, timeZone);
  }
  return earliest;
}

const utcOffsetMs = (instantMs: number, timeZone: string): number =>
  Temporal.Instant.fromEpochMilliseconds(instantMs).toZonedDateTimeISO(timeZone).offsetNanoseconds / 1e6;

const toInstantMs = (wallMs: number, timeZone: string): number =>
  Temporal.Instant.fromEpochMilliseconds(wallMs)
    .toZonedDateTimeISO('UTC')
    .toPlainDateTime()
    .toZonedDateTime(timeZone, { disambiguation: 'compatible' }).epochMilliseconds;

/**
 * The nominal time between two runs in milliseconds: a day is 24 hours, and a cron expression counts with the
 * shortest gap between its next few occurrences.
 *
 * @returns null for manual, for an unreadable cadence and for a cron expression that never comes twice
 */
export function cadencePeriodMs(cadence: Cadence): number | null {
  if (!cadenceSchema.safeParse(cadence).success) return null;
  switch (cadence.kind) {
    case 'interval':
      return cadence.everyMinutes * MINUTE_MS;
    case 'daily':
      return DAY_MS;
    case 'weekly':
      return 7 * DAY_MS;
    case 'cron':
      return knownGapMs(cadence.expression);
    case 'manual':
      return null;
  }
}

/** Many missions have the same expression, and its gaps take longer than all else of a schedule. */
const gaps = new Map<string, number | null>();
const MOST_GAPS = 1_000;

function knownGapMs(expression: string): number | null {
  const known = gaps.get(expression);
  if (known !== undefined) return known;
  const gap = shortestGapMs(parseCron(expression));
  if (gaps.size >= MOST_GAPS) gaps.clear();
  gaps.set(expression, gap);
  return gap;
}

function shortestGapMs(fields: CronFields | null): number | null {
  if (fields === null) return null;
  const gaps: number[] = [];
  let previous: number | null = null;
  // Any start will do, so the answer does not depend on today.
  for (const wallMs of cronOccurrences(fields, Date.UTC(2024, 0, 1))) {
    if (previous !== null) gaps.push(wallMs - previous);
    if (gaps.length === GAPS_COMPARED) break;
    previous = wallMs;
  }
  return gaps.length === 0 ? null : Math.min(...gaps);
}

/**
 * Whether the text is the IANA name of a time zone, written as in the time zone database: the Temporal server tells
 * `europe/berlin` from `Europe/Berlin`, and a UTC offset is not a zone for it.
 */
export function isTimeZone(name: string): boolean {
  if (!/^[A-Za-z]/.test(name)) return false;
  try {
    return Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(name).timeZoneId === name;
  } catch {
    return false;
  }
}

/** Whether it is one of these full hours at an instant (epoch milliseconds), by the wall clock of the zone. */
export function isAtHour(instantMs: number, timeZone: string, hours: readonly number[]): boolean {
  const wall = Temporal.Instant.fromEpochMilliseconds(instantMs).toZonedDateTimeISO(timeZone);
  return wall.minute === 0 && wall.second === 0 && hours.includes(wall.hour);
}

/**
 * Whether the zone's clock is changed between two instants, both in epoch milliseconds.
 *
 * @throws RangeError if `isTimeZone` refuses the zone
 */
export function hasClockChange(timeZone: string, fromMs: number, toMs: number): boolean {
  const from = Temporal.Instant.fromEpochMilliseconds(Math.floor(fromMs)).toZonedDateTimeISO(timeZone);
  const next = from.getTimeZoneTransition('next');
  return next !== null && next.epochMilliseconds <= toMs;
}

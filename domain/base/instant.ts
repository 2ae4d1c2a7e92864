/**
 * Instants as they stand in records and rows.
 *
 * Only texts that name one instant are read: ISO 8601 date and time with `Z` or an offset. A time without a zone, or
 * a date alone, would mean something else on every machine, so it "cannot be read" in the sense of docs/platform.md section 1
 * and the next source of a time is used; an `expiresAt` of that kind counts as expired (docs/platform.md section 7).
 */
const INSTANT =
  /^(\d{4})-(\d{2})-(\d{2})[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d+))?)?(?:Z|([+-])(\d{2})(?::?(\d{2}))?)$/i;

const daysInMonth = (year: number, month: number): number => {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
};

const isBetween = (value: number, low: number, high: number): boolean => value >= low && value <= high;

/**
 * Microseconds since 1970-01-01T00:00:00Z; further digits are cut.
 *
 * Read are `2026-05-04T12:00:00.123456Z`, offsets `+02:00`, `+0200` and `+02`, a space instead of `T` (PostgreSQL's
 * text form), and times without seconds. Impossible dates (February 30, hour 24, a leap second) are null.
 */
export function parseInstantMicros(value: unknown): bigint | null {
  if (typeof value !== 'string') return null;
  const match = INSTANT.exec(value);
  if (match === null) return null;
  const part = (index: number): number => Number(match[index] ?? 0);
  const [year, month, day, hour, minute, second] = [part(1), part(2), part(3), part(4), part(5), part(6)];
  const [offsetHours, offsetMinutes] = [part(9), part(10)];
  const exists =
    isBetween(month, 1, 12) &&
    isBetween(day, 1, daysInMonth(year, month)) &&
    isBetween(hour, 0, 23) &&
    isBetween(minute, 0, 59) &&
    isBetween(second, 0, 59) &&
    isBetween(offsetHours, 0, 23) &&
    isBetween(offsetMinutes, 0, 59);
  if (!exists) return null;
  // Date.UTC would take the years 0 to 99 for 1900 to 1999.
  const localMs =
    new Date(0).setUTCFullYear(year, month - 1, day) + ((hour * 60 + minute) * 60 + second) * 1000;
  const offsetMs = (match[8] === '-' ? -1 : 1) * (offsetHours * 60 + offsetMinutes) * 60_000;
  const fractionMicros = Number((match[7] ?? '').slice(0, 6).padEnd(6, '0'));
  return BigInt(localMs - offsetMs) * 1000n + BigInt(fractionMicros);
}

/** Whole milliseconds since the epoch, rounded towards the past; null if the text names no instant. */
export function instantMs(value: unknown): number | null {
  const micros = parseInstantMicros(value);
  if (micros === null) return null;
  const remainder = ((micros % 1000n) + 1000n) % 1000n;
  return Number((micros - remainder) / 1000n);
}

/**
 * Exactly `YYYY-MM-DDTHH:MM:SS.mmmZ`: devices compare times as strings (docs/platform.md section 1).
 *
 * @param ms milliseconds since the epoch; a fraction is cut
 * @throws RangeError outside the years 0000 to 9999, where this form does not exist
 */
export function formatInstant(ms: number): string {
  const iso = new Date(ms).toISOString();
  if (iso.length !== 24) throw new RangeError(`instant: found ${iso}, expected a year from 0000 to 9999`);
  return iso;
}

import { Temporal } from 'temporal-polyfill';
import { instantMs } from '#domain/base/instant.ts';
import type { UserZone } from '#domain/base/local-time.ts';

/** What a text names: a day of the calendar, or a time of day with an offset or by the user's own clock. */
export type NamedTime =
  | { readonly kind: 'day'; readonly day: string }
  | { readonly kind: 'time'; readonly day: string; readonly ms: number; readonly hasOffset: boolean };

const DAY = /^\d{4}-\d{2}-\d{2}$/;
const LOCAL_TIME = /^(\d{4}-\d{2}-\d{2})[T ]\d{2}:\d{2}(?::[0-5]\d(?:\.\d{1,9})?)?$/;
const MAX_CHARS = 40;

/**
 * Reads a day or a time as a tool's argument may write it: as it exists in the calendar, and by the user's clock where it
 * bears no offset. One that a clock change skips exists in no zone of the user's.
 *
 * @param timeZone times without an offset are taken for UTC where it is unknown: they still have to exist
 * @returns null for anything else
 */
export function namedTime(text: string, timeZone: UserZone): NamedTime | null {
  if (text.length > MAX_CHARS) return null;
  if (DAY.test(text)) return isDay(text) ? { kind: 'day', day: text } : null;
  const instant = instantMs(text);
  const ms = instant ?? localMs(text, timeZone ?? 'UTC');
  return ms === null ? null : { kind: 'time', day: text.slice(0, 10), ms, hasOffset: instant !== null };
}

/** `YYYY-MM` */
export const isMonth = (text: string): boolean => /^\d{4}-(?:0[1-9]|1[0-2])$/.test(text);

/** When a day begins or a time is, by the user's clock. */
export const startMsOf = (time: NamedTime, timeZone: UserZone): number =>
  time.kind === 'time'
    ? time.ms
    : Temporal.PlainDate.from(time.day).toZonedDateTime(timeZone ?? 'UTC').epochMilliseconds;

function isDay(text: string): boolean {
  try {
    Temporal.PlainDate.from(text, { overflow: 'reject' });
    return true;
  } catch {
    return false;
  }
}

function localMs(text: string, timeZone: string): number | null {
  if (!LOCAL_TIME.test(text)) return null;
  try {
    const local = Temporal.PlainDateTime.from(text.replace(' ', 'T'), { overflow: 'reject' });
    const zoned = local.toZonedDateTime(timeZone, { disambiguation: 'compatible' });
    return zoned.toPlainDateTime().equals(local) ? zoned.epochMilliseconds : null;
  } catch {
    return null;
  }
}

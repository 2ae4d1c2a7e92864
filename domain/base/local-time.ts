import { Temporal } from 'temporal-polyfill';
import { instantMs } from './instant.ts';
import type { PromptLanguage } from './language.ts';

const LOCALES: Readonly<Record<PromptLanguage, string>> = { de: 'de-DE', en: 'en-GB' };

/**
 * The user's clock as it is shown: an IANA name, or null where nothing is known of it. Then times are in UTC, and say so.
 */
export type UserZone = string | null;

const zoneOf = (zone: UserZone): string => zone ?? 'UTC';

/** `UTC+01:00`, `UTC` for no offset. */
function offsetName(ms: number, zone: UserZone): string {
  const { offset } = Temporal.Instant.fromEpochMilliseconds(ms).toZonedDateTimeISO(zoneOf(zone));
  return offset === '+00:00' ? 'UTC' : `UTC${offset}`;
}

/**
 * A time as people say it, by the user's clock: `Samstag, 28. November 2026, 09:05, UTC+01:00`.
 *
 * @param ms epoch milliseconds
 */
export function spokenTime(ms: number, zone: UserZone, language: PromptLanguage): string {
  const format = (options: Intl.DateTimeFormatOptions): string =>
    new Intl.DateTimeFormat(LOCALES[language], { ...options, timeZone: zoneOf(zone) }).format(ms);
  const day = [
    format({ weekday: 'long' }),
    format({ day: 'numeric', month: 'long', year: 'numeric' }),
    format({ hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }),
  ];
  return [...day, offsetName(ms, zone)].join(', ');
}

/**
 * A stored time by the user's clock, `2026-11-28T09:05+01:00`, as a tool's argument may repeat it. What names no instant
 * (a date alone, a time without a zone: the user's own) stays as it is.
 */
export function localTime(value: string, zone: UserZone): string {
  const ms = instantMs(value);
  if (ms === null) return value;
  return Temporal.Instant.fromEpochMilliseconds(ms)
    .toZonedDateTimeISO(zoneOf(zone))
    .toString({ timeZoneName: 'never', smallestUnit: 'minute' });
}

/**
 * The zone's name where it says something: zones of an inferred offset (`Etc/GMT-1`) read as their opposite.
 *
 * @returns null for those and for an unknown zone
 */
export const zoneName = (zone: UserZone): string | null =>
  zone === null || zone.startsWith('Etc/') ? null : zone;

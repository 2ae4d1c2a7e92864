import type { Cadence } from '#domain/wire/mission.ts';

const MINUTE_MS = 60_000;
const HOUR_MINUTES = 60;
const DAY_MINUTES = 24 * HOUR_MINUTES;
const DAY_MS = DAY_MINUTES * MINUTE_MS;
/** Clocks of the world differ from UTC by multiples of this. */
const OFFSET_STEP_MINUTES = 15;
const LOWEST_MINUTES = -12 * HOUR_MINUTES;
const HIGHEST_MINUTES = 14 * HOUR_MINUTES;
/** No clock change is larger. */
const CLOCK_CHANGE_MINUTES = 60;

/** Zones for offsets that are no whole hours: without clock changes, or else where most people live who have that offset. */
const ZONES: Readonly<Record<number, string>> = {
  [-570]: 'Pacific/Marquesas',
  [-210]: 'America/St_Johns',
  [-150]: 'America/St_Johns',
  210: 'Asia/Tehran',
  270: 'Asia/Kabul',
  330: 'Asia/Kolkata',
  345: 'Asia/Kathmandu',
  390: 'Asia/Yangon',
  525: 'Australia/Eucla',
  570: 'Australia/Darwin',
  630: 'Australia/Adelaide',
  765: 'Pacific/Chatham',
  825: 'Pacific/Chatham',
};

/**
 * The IANA zone for a distance from UTC, for users who never named theirs (docs/architecture.md section 5). The next clock change
 * is not known; after it a device's next `nextRunAt` shows the new offset.
 *
 * @param offsetMinutes local time minus UTC
 * @returns null if no zone of the world has that offset
 */
export function timeZoneOfOffset(offsetMinutes: number): string | null {
  if (offsetMinutes === 0) return 'UTC';
  if (offsetMinutes < LOWEST_MINUTES || offsetMinutes > HIGHEST_MINUTES) return null;
  const hours = offsetMinutes / HOUR_MINUTES;
  // In the names of these zones west is plus (POSIX).
  if (Number.isInteger(hours)) return `Etc/GMT${hours > 0 ? '-' : '+'}${Math.abs(hours)}`;
  return ZONES[offsetMinutes] ?? null;
}

/**
 * The user's distance from UTC, as the `nextRunAt` that a device computed for a daily or weekly cadence shows it: there it
 * is the cadence's local time.
 *
 * A local time fits two offsets a day apart where both exist; a weekly cadence's weekday decides between them, for a daily
 * one the offset counts where more people live: Hawaii (-10) before Kiribati (+14), New Zealand (+13) before Samoa (-11).
 *
 * @returns minutes; null for other cadences and for an instant that is on none of its local times: set by hand, or snoozed
 */
export function offsetShownBy(cadence: Cadence | null, nextRunAtMs: number): number | null {
  if (cadence?.kind !== 'daily' && cadence?.kind !== 'weekly') return null;
  const atMinute = cadence.kind === 'daily' ? cadence.atMinute : 0;
  const localMinutes = cadence.atHour * HOUR_MINUTES + atMinute;
  const difference = localMinutes - (nextRunAtMs % DAY_MS) / MINUTE_MS;
  if (difference % OFFSET_STEP_MINUTES !== 0) return null;
  const candidates = [0, DAY_MINUTES, -DAY_MINUTES]
    .map((days) => difference + days)
    .filter((minutes) => timeZoneOfOffset(minutes) !== null);
  if (cadence.kind === 'weekly') {
    const fits = (minutes: number): boolean =>
      new Date(nextRunAtMs + minutes * MINUTE_MS).getUTCDay() === cadence.dayOfWeek;
    return candidates.find(fits) ?? null;
  }
  return candidates.toSorted((a, b) => rarity(a) - rarity(b))[0] ?? null;
}

const rarity = (minutes: number): number =>
  minutes <= -11 * HOUR_MINUTES || minutes > 13.75 * HOUR_MINUTES ? 1 : 0;

/** What devices showed of their clocks so far. Plain JSON. */
export interface DeviceOffset {
  /** Null until a device showed one. */
  readonly offsetMinutes: number | null;
  /** When the instant that showed it was written, epoch milliseconds. */
  readonly shownAtMs: number;
  /** An instant that showed another offset, and might have been set by hand. */
  readonly doubtful: { readonly offsetMinutes: number; readonly nextRunAtMs: number } | null;
}

export const UNKNOWN_OFFSET: DeviceOffset = { offsetMinutes: null, shownAtMs: 0, doubtful: null };

/** A device's write of `nextRunAt` for a mission with a daily or weekly cadence. */
export interface ShownInstant {
  readonly offsetMinutes: number;
  readonly nextRunAtMs: number;
  readonly writtenAtMs: number;
  /** The same row creates or resumes the mission or edits its cadence: then the web app has computed the instant. */
  readonly isComputed: boolean;
}

/**
 * Takes in one more instant. One that stands alone in its row was computed after a run in the browser, or set by hand to
 * another hour: then it counts if it differs by no more than a clock change, or once a second instant shows the same.
 */
export function takeInInstant(known: DeviceOffset, shown: ShownInstant): DeviceOffset {
  const { offsetMinutes, nextRunAtMs, writtenAtMs: shownAtMs } = shown;
  if (known.offsetMinutes !== null && shownAtMs < known.shownAtMs) return known;
  const isPlausible =
    shown.isComputed ||
    known.offsetMinutes === null ||
    Math.abs(offsetMinutes - known.offsetMinutes) <= CLOCK_CHANGE_MINUTES;
  const isRepeated =
    known.doubtful?.offsetMinutes === offsetMinutes && known.doubtful.nextRunAtMs !== nextRunAtMs;
  if (isPlausible || isRepeated) return { offsetMinutes, shownAtMs, doubtful: null };
  return { ...known, doubtful: { offsetMinutes, nextRunAtMs } };
}

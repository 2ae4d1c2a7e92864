import type { Cadence } from '#domain/wire/mission.ts';

const DAY_MINUTES = 24 * 60;

/** A cadence and the zone in which it is meant. */
export interface ZonedCadence {
  readonly cadence: Cadence;
  /** IANA name. */
  readonly timeZone: string;
}

/**
 * How to read a cadence whose zone may be unknown: neither named, nor shown by a device (db/time-zones.ts). Its `nextRunAt` was
 * computed in the user's zone, so a daily or weekly mission keeps that instant's grid, which is right until the next
 * clock change; then the device's own next write sets it right. Cron has no such anchor and is read in UTC.
 */
export function zonedCadence(cadence: Cadence, timeZone: string | null): ZonedCadence {
  if (timeZone !== null) return { cadence, timeZone };
  if (cadence.kind === 'daily') return { cadence: everyDays(1), timeZone: 'UTC' };
  if (cadence.kind === 'weekly') return { cadence: everyDays(7), timeZone: 'UTC' };
  return { cadence, timeZone: 'UTC' };
}

const everyDays = (days: number): Cadence => ({ kind: 'interval', everyMinutes: days * DAY_MINUTES });

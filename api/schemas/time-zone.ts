import { z } from 'zod';
import { isTimeZone } from '#domain/cadence/cadence.ts';

/** The time zone that a client names; absent or null: it names none. */
export const timeZoneSchema = z
  .string({ error: 'found no text, expected an IANA time zone like Europe/Berlin, or nothing' })
  .refine(isTimeZone, { error: 'found an unknown time zone, expected an IANA name like Europe/Berlin' })
  .nullish()
  .meta({ description: 'IANA name; the cadence of the mission is meant in it' });

import { z } from 'zod';
import { PAUSE_REASONS, TIME_ZONE_SOURCES } from '#domain/cadence/schedule-view.ts';
import { timeZoneSchema } from './text.ts';

/** Fields that are not named here are ignored: clients may send more. */
export const scheduleRequestSchema = z
  .object({ timeZone: timeZoneSchema }, { error: 'found no object, expected a JSON object or nothing' })
  .nullish();

/** Instants are ISO 8601 in UTC with milliseconds. */
export const missionScheduleSchema = z.object({
  missionId: z.string(),
  timeZone: z
    .string()
    .nullable()
    .meta({ description: 'IANA name; null while nobody named one and no device showed one' }),
  timeZoneSource: z.enum(TIME_ZONE_SOURCES).nullable().meta({
    description:
      'mission: named for it; user: named last for another mission; inferred: from what devices wrote',
  }),
  cadence: z.unknown().meta({ description: 'as in the mission; null where it cannot be read' }),
  nextRunAt: z.string().nullable(),
  nextFires: z
    .array(z.string())
    .meta({ description: 'up to five, without jitter; empty while nothing runs by itself' }),
  paused: z.boolean(),
  pausedReason: z.enum(PAUSE_REASONS).nullable(),
  pausedNote: z.string().nullable().meta({ description: "the operator's, with reason operator" }),
});
export type MissionScheduleBody = z.output<typeof missionScheduleSchema>;

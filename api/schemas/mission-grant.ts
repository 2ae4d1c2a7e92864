import { z } from 'zod';
import {
  GRANT_TTL_DEFAULT_MS,
  GRANT_TTL_MAX_MS,
  GRANT_TTL_MIN_MS,
  GRANT_VERSIONS,
  MAX_GRANT_RECORD_IDS,
  splitRecordId,
} from '#domain/wire/grant.ts';
import { list, storableText, timeZoneSchema } from './text.ts';

// Ids are opaque text; the web app's are UUIDs. With these bounds the largest list still fits into the body limit.
const MAX_MISSION_ID_LENGTH = 256;
const MAX_RECORD_ID_LENGTH = 512;
const MAX_TABLE_LENGTH = 100;
const MAX_TABLES = 1000;

const missionId = storableText(MAX_MISSION_ID_LENGTH);
const recordId = storableText(MAX_RECORD_ID_LENGTH)
  .refine((text) => splitRecordId(text) !== null, {
    error: 'found a text of another form, expected "<table>:<id>"',
  })
  // For the description: a refinement cannot be seen from outside.
  .meta({ pattern: '^[^:]+:[\\s\\S]+$' });

/** docs/platform.md section 7. Fields that are not named here are ignored: older and newer clients send more. */
export const missionGrantRequestSchema = z.object(
  {
    missionId,
    tables: list(storableText(MAX_TABLE_LENGTH), MAX_TABLES),
    recordIds: list(recordId, MAX_GRANT_RECORD_IDS),
    /** What is no number counts as absent: see `clampTtlMs`. */
    ttlMs: z
      .unknown()
      .optional()
      .meta({
        description: `milliseconds, clamped to ${GRANT_TTL_MIN_MS} to ${GRANT_TTL_MAX_MS}; what is no number counts as absent: ${GRANT_TTL_DEFAULT_MS}`,
      }),
    timeZone: timeZoneSchema,
  },
  { error: 'found no object, expected a JSON object' },
);

export type MissionGrantRequest = z.output<typeof missionGrantRequestSchema>;

export const missionGrantResponseSchema = z.object({
  wrappedKey: z.string(),
  derivation: z.object({
    version: z.enum(GRANT_VERSIONS),
    missionId: z.string(),
    tables: z.array(z.string()),
    recordIds: z.array(z.string()),
  }),
  issuedAt: z.string(),
  expiresAt: z.string(),
});

/** Of the URLs of one mission's grant. */
export const missionParamsSchema = z.object({ missionId });

const GRANT_STATES = ['none', 'active', 'expired', 'revoked'] as const;

/** All but the state is null where there never was a grant. */
export const missionGrantStateSchema = z.object({
  state: z.enum(GRANT_STATES),
  scope: z.object({ tables: z.array(z.string()), recordIds: z.array(z.string()) }).nullable(),
  issuedAt: z.string().nullable(),
  expiresAt: z.string().nullable(),
  expiresBeforeNextRun: z
    .boolean()
    .nullable()
    .meta({ description: 'null while the mission is not active or has no next run' }),
});
export type MissionGrantState = z.output<typeof missionGrantStateSchema>;

import { z } from 'zod';
import { isTimeZone } from '../../domain/cadence.ts';
import { GRANT_VERSIONS, MAX_GRANT_RECORD_IDS, splitRecordId } from '../../domain/grant.ts';
import { list, storableText } from './text.ts';

// Ids are opaque text; the web app's are UUIDs. With these bounds the largest list still fits into the body limit.
const MAX_MISSION_ID_LENGTH = 256;
const MAX_RECORD_ID_LENGTH = 512;
const MAX_TABLE_LENGTH = 100;
const MAX_TABLES = 1000;

const recordId = storableText(MAX_RECORD_ID_LENGTH).refine((text) => splitRecordId(text) !== null, {
  error: 'found a text of another form, expected "<table>:<id>"',
});

/** Contract section 7. Fields that are not named here are ignored: older and newer clients send more. */
export const missionGrantRequestSchema = z.object(
  {
    missionId: storableText(MAX_MISSION_ID_LENGTH),
    tables: list(storableText(MAX_TABLE_LENGTH), MAX_TABLES),
    recordIds: list(recordId, MAX_GRANT_RECORD_IDS),
    /** What is no number counts as absent: see `clampTtlMs`. */
    ttlMs: z.unknown().optional(),
    timeZone: z
      .string({ error: 'found no text, expected an IANA time zone like Europe/Berlin, or nothing' })
      .refine(isTimeZone, { error: 'found an unknown time zone, expected an IANA name like Europe/Berlin' })
      .nullish(),
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

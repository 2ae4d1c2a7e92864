import { z } from 'zod';
import type { StoredIteration } from './iteration.ts';

/**
 * A mission record as it comes out of the field merge (docs/platform.md section 2).
 *
 * Records are written by many versions of the web app and by anybody with a user account, so reading is lenient: a
 * field of the wrong type counts as absent, and one bad entry of a list does not hide the good ones. `iterations`
 * stay as they are, because we write the array back whole and must not lose what we do not understand.
 */
export interface Mission {
  readonly id: string;
  /** May be ciphertext (`enc:1:`), see docs/platform.md section 5. */
  readonly title: string | null;
  /** May be ciphertext. */
  readonly conceptMarkdown: string | null;
  /** May be ciphertext. */
  readonly objective: string | null;
  readonly state: MissionState | null;
  readonly cadence: Cadence | null;
  /** As stored; null when absent, `null` or not a text. */
  readonly nextRunAt: string | null;
  readonly inputs: readonly MissionInput[];
  readonly iterations: readonly StoredIteration[];
  /** As stored: checked by `parseGrant` where it is used. */
  readonly grant: unknown;
  readonly agentId: string | null;
}

export const MISSION_STATES = ['active', 'paused', 'done', 'archived'] as const;
export type MissionState = (typeof MISSION_STATES)[number];

const minutes = z.number().int().min(1).max(525_600);
const hour = z.number().int().min(0).max(23);
const minute = z.number().int().min(0).max(59);

/** docs/platform.md section 2. A weekly cadence has no minute: it runs at the full hour. */
export const cadenceSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('manual') }),
  z.object({ kind: z.literal('interval'), everyMinutes: minutes }),
  z.object({ kind: z.literal('daily'), atHour: hour, atMinute: minute }),
  z.object({ kind: z.literal('weekly'), dayOfWeek: z.number().int().min(0).max(6), atHour: hour }),
  z.object({ kind: z.literal('cron'), expression: z.string().min(1).max(200) }),
]);
export type Cadence = z.infer<typeof cadenceSchema>;

const missionInputSchema = z.object({ module: z.string(), table: z.string(), id: z.string().min(1) });
export type MissionInput = z.infer<typeof missionInputSchema>;

/** The mission's own fields that the registry lists as encrypted (docs/platform.md section 2). */
export const ENCRYPTED_MISSION_FIELDS = ['title', 'conceptMarkdown', 'objective'] as const;

const text = (value: unknown): string | null => (typeof value === 'string' ? value : null);

const readable = <T>(schema: z.ZodType<T>, value: unknown): T | null => {
  const parsed = schema.safeParse(value);
  return parsed.success ? parsed.data : null;
};

const readableItems = <T>(schema: z.ZodType<T>, value: unknown): T[] =>
  Array.isArray(value) ? value.map((item) => readable(schema, item)).filter((item) => item !== null) : [];

const storedIterationSchema = z.looseObject({ id: z.string().min(1) });

/** Reads a merged record as a mission; never throws. */
export function parseMission(missionId: string, record: Readonly<Record<string, unknown>>): Mission {
  return {
    id: missionId,
    title: text(record['title']),
    conceptMarkdown: text(record['conceptMarkdown']),
    objective: text(record['objective']),
    state: readable(z.enum(MISSION_STATES), record['state']),
    cadence: readable(cadenceSchema, record['cadence']),
    nextRunAt: text(record['nextRunAt']),
    inputs: readableItems(missionInputSchema, record['inputs']),
    iterations: readableItems(storedIterationSchema, record['iterations']),
    grant: record['grant'] ?? null,
    agentId: text(record['agentId']),
  };
}

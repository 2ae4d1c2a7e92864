import { z } from 'zod';
import { storableText } from './text.ts';

const LIMIT_DEFAULT = 200;
const LIMIT_MAX = 1000;

/** Contract section 8: clamped to 1..1000; what cannot be read as a number counts as absent. */
export function clampLimit(text: unknown): number {
  if (typeof text !== 'string' || !/^[+-]?\d+(\.\d+)?$/.test(text.trim())) return LIMIT_DEFAULT;
  return Math.min(Math.max(Math.trunc(Number(text)), 1), LIMIT_MAX);
}

export const decryptAuditQuerySchema = z.object({
  missionId: z.literal('').or(storableText(512)).optional(),
  limit: z.unknown().optional(),
});

export const decryptAuditResponseSchema = z.object({
  rows: z.array(
    z.object({
      id: z.string(),
      missionId: z.string(),
      iterationId: z.string().nullable(),
      tableName: z.string(),
      recordId: z.string(),
      status: z.enum(['ok', 'failed', 'scope-violation']),
      reason: z.string().nullable(),
      ts: z.string(),
    }),
  ),
});

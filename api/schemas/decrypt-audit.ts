import { z } from 'zod';
import { storableText } from './text.ts';

const LIMIT_DEFAULT = 200;
const LIMIT_MAX = 1000;

/** docs/platform.md section 8: clamped to 1..1000; what cannot be read as a number counts as absent. */
export function clampLimit(text: unknown): number {
  if (typeof text !== 'string' || !/^[+-]?\d+(\.\d+)?$/.test(text.trim())) return LIMIT_DEFAULT;
  return Math.min(Math.max(Math.trunc(Number(text)), 1), LIMIT_MAX);
}

const BIGINT_MAX = 2n ** 63n - 1n;

/** Names the last row of a page; opaque to the client. */
export const encodeCursor = (seq: bigint): string => Buffer.from(`seq:${seq}`, 'utf8').toString('base64url');

/** The reverse of `encodeCursor`; null for any text that it does not make. */
export function decodeCursor(cursor: string): bigint | null {
  const digits = /^seq:(\d{1,19})$/.exec(Buffer.from(cursor, 'base64url').toString('utf8'))?.[1];
  if (digits === undefined) return null;
  const seq = BigInt(digits);
  return seq > 0n && seq <= BIGINT_MAX && encodeCursor(seq) === cursor ? seq : null;
}

const unreadableCursor = 'expected the cursor of a Link header, unchanged';

export const decryptAuditQuerySchema = z.object({
  missionId: z.literal('').or(storableText(512)).optional(),
  limit: z.unknown().optional(),
  cursor: z
    .string({ error: unreadableCursor })
    .max(64, { error: unreadableCursor })
    .refine((text) => decodeCursor(text) !== null, { error: unreadableCursor })
    .optional(),
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

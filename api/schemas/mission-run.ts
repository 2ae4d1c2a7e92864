import { z } from 'zod';
import { RUN_STATES } from '#runs/run-execution.ts';
import { storableText } from './text.ts';

const LIMIT_DEFAULT = 20;
const LIMIT_MAX = 100;

/** Clamped to 1..100; what cannot be read as a number counts as absent. */
export function clampRunLimit(text: unknown): number {
  if (typeof text !== 'string' || !/^[+-]?\d+(\.\d+)?$/.test(text.trim())) return LIMIT_DEFAULT;
  return Math.min(Math.max(Math.trunc(Number(text)), 1), LIMIT_MAX);
}

export const runListQuerySchema = z.object({
  limit: z
    .unknown()
    .optional()
    .meta({
      description: `clamped to 1 to ${LIMIT_MAX}; what is no number counts as absent: ${LIMIT_DEFAULT}`,
    }),
  cursor: storableText(4096).optional().meta({ description: 'nextCursor of the page before, unchanged' }),
});

/** Run ids are UUIDs; any other text names no run. */
export const runParamsSchema = z.object({ runId: z.string() });

const runFields = {
  runId: z.string(),
  missionId: z.string(),
  trigger: z.enum(['schedule', 'projection', 'run-now']).nullable(),
  state: z.enum(RUN_STATES).meta({ description: 'how the execution stands or ended' }),
  outcome: z.string().nullable().meta({
    description: 'what it came to: planned, empty-plan, failed, cancelled, and so on; null before its end',
  }),
  reason: z.string().nullable().meta({ description: 'why the iteration failed; with outcome failed' }),
  startedAt: z.string(),
  finishedAt: z.string().nullable(),
  durationMs: z.number().nullable(),
  rounds: z.number().nullable(),
  steps: z.number().nullable(),
  totalTokens: z.number().nullable(),
};
const runSchema = z.object(runFields);
export type RunBody = z.output<typeof runSchema>;

export const runListSchema = z.object({ runs: z.array(runSchema), nextCursor: z.string().nullable() });

export const runDetailSchema = z.object({
  ...runFields,
  live: z
    .object({ phase: z.string(), round: z.number(), totalTokens: z.number() })
    .nullable()
    .meta({ description: 'where a running one stands; null after its end, and while no worker answers' }),
});

export const startedRunSchema = z.object({ runId: z.string() });

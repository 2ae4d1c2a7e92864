import { z } from 'zod';
import {
  flaggedInputSchema,
  messageSchema,
  noticeSchema,
  unopenedRecordSchema,
  unreadableInputSchema,
} from './stored-round.ts';

/**
 * What a refused request is changed to, once: `smaller` for a model whose window is smaller than we think, `plainer` for one
 * that does not know `tool_choice: none`.
 */
const ASKED_AGAIN = ['smaller', 'plainer'] as const;
export type AskedAgain = (typeof ASKED_AGAIN)[number];

/** What has to be known to make steps of the reply: as it was when the request was made, whatever is changed meanwhile. */
const roundSchema = z.object({
  /** Only the first round has a prompt of its own: later ones continue its conversation. */
  opening: z
    .object({
      prompt: z.array(messageSchema),
      unreadableInputs: z.array(unreadableInputSchema),
      language: z.enum(['de', 'en']),
      flaggedInputs: z.array(flaggedInputSchema),
      knownUrls: z.array(z.string()),
      /** Null in older requests. */
      unopened: z.array(unopenedRecordSchema).nullable().default(null),
    })
    .nullable(),
  /** Names of the tools whose calls become steps, and of those that are answered at once. */
  planned: z.array(z.string()),
  answered: z.array(z.string()),
  /** Rounds before this one that a summary stands for. Older requests have none of these two. */
  compactedUpTo: z.number().int().min(0).default(0),
  /** How it differs from the request that was refused before it. */
  again: z.enum(ASKED_AGAIN).nullable().default(null),
  /** The window that it was made for, where the model's was found to be smaller than its setting. */
  windowTokens: z.number().positive().nullable().default(null),
  /** Marks data in this run's prompt, and so in what its tools read. */
  delimiter: z.string().nullable(),
  /** Data that bears marks of injected instructions where the model reads it, for the review of steps. */
  flaggedTexts: z.array(z.string()),
  notices: z.array(noticeSchema),
  /** What the arguments of a step are held against; null in requests of before that was done. */
  facts: z
    .object({
      records: z.array(z.object({ module: z.string(), table: z.string(), id: z.string() })),
      nowMs: z.number(),
      timeZone: z.string().nullable(),
      /** Of earlier iterations, see `openStepsOf`. */
      openSteps: z.array(z.string()),
    })
    .nullable()
    .default(null),
});
export type AskedOfRound = z.infer<typeof roundSchema>;

/** One request of the model as it is kept, encrypted, from before it is sent: a repeated attempt sends the same bytes. */
export const storedRequestSchema = z.object({
  bodyText: z.string(),
  /** The same for every attempt; a request that differs has another. */
  idempotencyKey: z.string(),
  /** Null for a request that compacts. */
  round: roundSchema.nullable(),
});
export type StoredRequest = z.infer<typeof storedRequestSchema>;

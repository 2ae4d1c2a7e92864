import { z } from 'zod';
import type { ChatMessage } from './conversation.ts';
import type { PlanStep } from '#domain/wire/iteration.ts';
import type { ToolResult } from './plan.ts';
import { plannerReplySchema } from '#domain/planner/model/planner-reply.ts';
import { REPLY_FLAWS } from './reply-flaw.ts';

/**
 * What a planner round leaves behind, encrypted, for the rounds after it and for the write-back. The first one also
 * keeps the prompt: records may change while the run is under way, the conversation may not.
 */
export const unreadableInputSchema = z.object({
  module: z.string(),
  table: z.string(),
  id: z.string(),
  reason: z.string(),
});

/** Of what was sealed for the run and is under another key than its grant's. */
export const unopenedRecordSchema = z.object({ table: z.string(), recordId: z.string() });

/** A record, or another source of the prompt, that bears marks of injected instructions. */
export interface FlaggedInput {
  /** `agents`, `iterations` and `research` besides the tables of records. */
  readonly table: string;
  readonly id: string;
  /** Codes of `INJECTION_MARKS`. */
  readonly marks: string[];
}

export const flaggedInputSchema: z.ZodType<FlaggedInput> = z.object({
  table: z.string(),
  id: z.string(),
  marks: z.array(z.string()),
});

const jsonObject = z.record(z.string(), z.unknown());

const stepSchema: z.ZodType<PlanStep> = z.object({
  id: z.string(),
  summary: z.string(),
  intent: z.object({ kind: z.literal('toolCall'), toolName: z.string(), params: jsonObject }),
  status: z.literal('planned'),
  flags: z.array(z.string()).exactOptional(),
});

const toolResultSchema: z.ZodType<ToolResult> = z.object({
  toolCallId: z.string(),
  name: z.string(),
  content: z.string(),
});

export const noticeSchema = z.discriminatedUnion('kind', [
  /** The provider held the rest back, or the reply was cut at its length. */
  z.object({ kind: z.enum(['content-filtered', 'cut-off']) }),
  /** Why the plan ends: no further round, a model that only repeated itself, or a plan that holds no more. */
  z.object({ kind: z.enum(['rounds-used-up', 'repeats', 'plan-full']) }),
  /** Something was proposed that an earlier run has planned, and that is still open. */
  z.object({ kind: z.literal('still-open') }),
  z.object({ kind: z.literal('budget'), usedTokens: z.number(), maxTokens: z.number() }),
  /** A round whose reply nobody saw; counted with an estimate. */
  z.object({ kind: z.literal('unknown-spend'), estimatedTokens: z.number() }),
  z.object({ kind: z.literal('research-failed'), research: z.enum(['shallow', 'deep']) }),
  /** Steps that `POLICY_MODE=enforce` dropped. */
  z.object({ kind: z.literal('dropped-steps'), count: z.number() }),
  /** A later round failed: a code of `FailureCode`. */
  z.object({ kind: z.literal('cut-short'), code: z.string() }),
]);
export type Notice = z.infer<typeof noticeSchema>;

export const messageSchema = z.object({ role: z.enum(['system', 'user']), content: z.string() });

export const storedRoundSchema = z.object({
  prompt: z.array(messageSchema).nullable(),
  unreadableInputs: z.array(unreadableInputSchema),
  reply: plannerReplySchema,
  steps: z.array(stepSchema),
  toolResults: z.array(toolResultSchema),
  finished: z.boolean(),
  /** What is wrong with the reply. The round after it asks once more, unless this one did so itself. */
  flaw: z.enum(REPLY_FLAWS).nullable().default(null),
  /** Of the mission; older entries have none of the fields from here on. */
  language: z.enum(['de', 'en']).default('de'),
  flaggedInputs: z.array(flaggedInputSchema).default([]),
  /** URLs that stood in inputs, research results or answers of reading tools of this round. */
  knownUrls: z.array(z.string()).default([]),
  /** What the user has to be told besides: codes and figures, put into words at the write-back. */
  notices: z.array(noticeSchema).default([]),
  /** The request, in estimated tokens; older entries have none of these three. */
  requestTokens: z.number().min(0).default(0),
  /** Earlier rounds that a summary stood for in it. */
  compactedUpTo: z.number().int().min(0).default(0),
  /** The model's window was found to be smaller than its setting. */
  shrunk: z.boolean().default(false),
  /** What it was taken for; null in older entries. */
  shrunkTo: z.number().positive().nullable().default(null),
  /** Of a first round: what later ones need not try to open. Null in others and in older entries. */
  unopened: z.array(unopenedRecordSchema).nullable().default(null),
});
export type StoredRound = z.infer<typeof storedRoundSchema>;

/** The prompt's own messages: a first round has only these two roles. */
export const promptMessages = (
  messages: readonly ChatMessage[],
): { role: 'system' | 'user'; content: string }[] =>
  messages.flatMap((message) =>
    message.role === 'system' || message.role === 'user'
      ? [{ role: message.role, content: message.content }]
      : [],
  );

export const stepsOfRounds = (entries: readonly StoredRound[]): PlanStep[] =>
  entries.flatMap((entry) => entry.steps);

/** Stands for a round that was not asked any more: it says to the user why the plan ends here. */
export const closingEntry = (first: StoredRound, notice: Notice): StoredRound => ({
  prompt: null,
  unreadableInputs: [],
  reply: {
    ...{ content: null, toolCalls: [], finishReason: null, resolvedModel: null },
    ...{ totalTokens: 0, promptTokens: 0, completionTokens: 0 },
  },
  steps: [],
  toolResults: [],
  finished: true,
  flaw: null,
  language: first.language,
  flaggedInputs: [],
  knownUrls: [],
  notices: [notice],
  ...{ requestTokens: 0, compactedUpTo: 0, shrunk: false, shrunkTo: null, unopened: null },
});

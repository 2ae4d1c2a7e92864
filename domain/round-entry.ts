import { z } from 'zod';
import type { ChatMessage } from './conversation.ts';
import type { PlanStep, ToolResult } from './plan.ts';
import { plannerReplySchema } from './planner-reply.ts';

/**
 * What a planner round leaves behind, encrypted, for the rounds after it and for the write-back. The first one also
 * keeps the prompt: records may change while the run is under way, the conversation may not.
 */
const unreadableInputSchema = z.object({
  module: z.string(),
  table: z.string(),
  id: z.string(),
  reason: z.string(),
});

const jsonObject = z.record(z.string(), z.unknown());

const stepSchema: z.ZodType<PlanStep> = z.object({
  id: z.string(),
  summary: z.string(),
  intent: z.object({ kind: z.literal('toolCall'), toolName: z.string(), params: jsonObject }),
  status: z.literal('planned'),
});

const toolResultSchema: z.ZodType<ToolResult> = z.object({
  toolCallId: z.string(),
  name: z.string(),
  content: z.string(),
});

const messageSchema = z.object({ role: z.enum(['system', 'user']), content: z.string() });

export const roundEntrySchema = z.object({
  prompt: z.array(messageSchema).nullable(),
  unreadableInputs: z.array(unreadableInputSchema),
  reply: plannerReplySchema,
  steps: z.array(stepSchema),
  toolResults: z.array(toolResultSchema),
  finished: z.boolean(),
});
export type RoundEntry = z.infer<typeof roundEntrySchema>;

/** The prompt's own messages: a first round has only these two roles. */
export const promptMessages = (
  messages: readonly ChatMessage[],
): { role: 'system' | 'user'; content: string }[] =>
  messages.flatMap((message) =>
    message.role === 'system' || message.role === 'user'
      ? [{ role: message.role, content: message.content }]
      : [],
  );

export const stepsOf = (entries: readonly RoundEntry[]): PlanStep[] =>
  entries.flatMap((entry) => entry.steps);

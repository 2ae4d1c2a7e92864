import { z } from 'zod';

const validCallSchema = z.object({
  /** As the gateway sent it; may be empty (contract section 10). */
  id: z.string(),
  name: z.string(),
  arguments: z.record(z.string(), z.unknown()),
});

/** The arguments are no JSON object: the call must not be carried out. */
const invalidCallSchema = z.object({
  id: z.string(),
  name: z.string(),
  invalidArguments: z.literal(true),
  rawArguments: z.string(),
});

export const plannerToolCallSchema = z.union([validCallSchema, invalidCallSchema]);
export type PlannerToolCall = z.infer<typeof plannerToolCallSchema>;

const tokens = z.number().int().min(0);

/** What the model answered in one round. Also the shape in which a reply is kept, encrypted, between rounds. */
export const plannerReplySchema = z.object({
  /** Null and empty mean the same: no text. */
  content: z.string().nullable(),
  toolCalls: z.array(plannerToolCallSchema),
  /** As received: `stop`, `tool_calls`, `length`, `content_filter`, null or something new. */
  finishReason: z.string().nullable(),
  /** 0 when the gateway did not say. */
  totalTokens: tokens,
  promptTokens: tokens,
  completionTokens: tokens,
  /** `provider/model` that served an alias (header `X-Mana-LLM-Resolved`). */
  resolvedModel: z.string().nullable(),
});
export type PlannerReply = z.infer<typeof plannerReplySchema>;

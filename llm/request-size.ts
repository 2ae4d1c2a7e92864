import { z } from 'zod';
import { tokensOfMessages } from '#domain/planner/plan/fit-conversation.ts';
import { estimateTokens } from '#domain/planner/model/token-estimate.ts';

const callSchema = z.object({
  id: z.string(),
  type: z.literal('function'),
  function: z.object({ name: z.string(), arguments: z.string() }),
});
const messageSchema = z.union([
  z.object({ role: z.enum(['system', 'user']), content: z.string() }),
  z.object({ role: z.literal('tool'), content: z.string(), tool_call_id: z.string() }),
  z.object({
    role: z.literal('assistant'),
    content: z.string().nullable(),
    tool_calls: z.array(callSchema).exactOptional(),
  }),
]);
const requestSchema = z.object({
  model: z.string(),
  messages: z.array(messageSchema),
  tools: z.array(z.unknown()).default([]),
  tool_choice: z.string().nullable().default(null),
  max_tokens: z.number().nullable().default(null),
});

export interface RequestSize {
  readonly model: string;
  /** Messages and tools, estimated. */
  readonly tokens: number;
  /** Null in older requests. */
  readonly maxReplyTokens: number | null;
  readonly toolChoice: string | null;
}

/** How large a request is, by its very text: that of `encodeRequest`, or one that an older process kept. */
export function sizeOf(bodyText: string): RequestSize {
  const request = requestSchema.parse(JSON.parse(bodyText));
  const tools = request.tools.length === 0 ? 0 : estimateTokens(JSON.stringify(request.tools));
  return {
    model: request.model,
    tokens: tokensOfMessages(request.messages) + tools,
    maxReplyTokens: request.max_tokens,
    toolChoice: request.tool_choice,
  };
}

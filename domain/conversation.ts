import type { ToolResult } from './plan.ts';
import type { PlannerReply } from './planner-reply.ts';

export interface AssistantToolCall {
  id: string;
  type: 'function';
  /** `arguments` is JSON text of an object. */
  function: { name: string; arguments: string };
}

/** One message in the OpenAI shape that the gateway takes (contract section 10). */
export type ChatMessage =
  | { role: 'system' | 'user'; content: string }
  | { role: 'assistant'; content: string | null; tool_calls?: AssistantToolCall[] }
  | { role: 'tool'; tool_call_id: string; content: string };

/** A finished round: what the model said and how each of its calls was answered, in the same order. */
export interface ConversationRound {
  readonly reply: PlannerReply;
  readonly toolResults: readonly ToolResult[];
}

/**
 * The messages for the next round.
 *
 * Calls carry the ids of their answers, because the gateway may have sent empty ones. What a provider could choke on
 * is made regular: a name that no provider would accept, arguments that are no JSON (the answer says so).
 *
 * @throws TypeError when a round leaves a call without an answer: providers refuse such a conversation
 */
export const conversationOf = (input: {
  readonly prompt: readonly ChatMessage[];
  readonly rounds: readonly ConversationRound[];
}): ChatMessage[] => [...input.prompt, ...input.rounds.flatMap(roundMessages)];

function roundMessages({ reply, toolResults }: ConversationRound): ChatMessage[] {
  const content = reply.content === '' ? null : reply.content;
  if (reply.toolCalls.length !== toolResults.length)
    throw new TypeError(`round: found ${toolResults.length} answers to ${reply.toolCalls.length} calls`);
  // An assistant message with neither text nor calls is refused by providers, and it says nothing.
  if (toolResults.length === 0) return content === null ? [] : [{ role: 'assistant', content }];
  const toolCalls = toolResults.map((result, index): AssistantToolCall => {
    const call = reply.toolCalls[index];
    const args = call !== undefined && 'arguments' in call ? call.arguments : {};
    return {
      id: result.toolCallId,
      type: 'function',
      function: { name: regularName(result.name), arguments: JSON.stringify(args) },
    };
  });
  return [
    { role: 'assistant', content, tool_calls: toolCalls },
    ...toolResults.map((result): ChatMessage => ({
      role: 'tool',
      tool_call_id: result.toolCallId,
      content: result.content,
    })),
  ];
}

const regularName = (name: string): string => (/^[\w-]{1,64}$/.test(name) ? name : 'unknown_tool');

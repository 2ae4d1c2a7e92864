import type { ChatMessage } from '#domain/planner/plan/conversation.ts';
import type { PlannerReply } from '#domain/planner/model/planner-reply.ts';
import type { ToolDefinition } from '#domain/planner/tools/tool-catalog.ts';
import type { CompletionOptions, Gateway } from '#llm/gateway.ts';
import type { RawReply } from '#llm/reply-schema.ts';

/** A request as the gateway gets it, read again. */
export interface SentRequest {
  readonly model: string;
  readonly messages: readonly ChatMessage[];
  readonly tools: readonly Pick<ToolDefinition, 'name' | 'description' | 'parameters'>[];
  /** The very text. */
  readonly bodyText: string;
}

/** What a model says: as it is to be read, or the very text. */
export type ModelAnswer = PlannerReply | RawReply;

/** A gateway without HTTP, whose model is a function. */
export const modelGateway = (
  answer: (request: SentRequest, options: CompletionOptions) => ModelAnswer | Promise<ModelAnswer>,
): Gateway => ({
  complete: async (bodyText, options) => {
    const answered = await answer(readRequest(bodyText), options);
    return 'bodyText' in answered ? answered : rawReplyOf(answered);
  },
});

function readRequest(bodyText: string): SentRequest {
  const body = JSON.parse(bodyText) as Pick<SentRequest, 'model' | 'messages'> & {
    readonly tools?: readonly { readonly function: SentRequest['tools'][number] }[];
  };
  const { model, messages, tools = [] } = body;
  return { model, messages, tools: tools.map((tool) => tool.function), bodyText };
}

/** The 200 of which `readReply` makes this reply. */
export const rawReplyOf = (reply: PlannerReply): RawReply => ({
  bodyText: JSON.stringify({
    choices: [
      {
        message: {
          role: 'assistant',
          content: reply.content,
          tool_calls: reply.toolCalls.map((call) => ({
            ...{ id: call.id, type: 'function' },
            function: {
              name: call.name,
              arguments: 'arguments' in call ? JSON.stringify(call.arguments) : call.rawArguments,
            },
          })),
        },
        finish_reason: reply.finishReason,
      },
    ],
    usage: {
      prompt_tokens: reply.promptTokens,
      completion_tokens: reply.completionTokens,
      total_tokens: reply.totalTokens,
    },
  }),
  resolvedModel: reply.resolvedModel,
});

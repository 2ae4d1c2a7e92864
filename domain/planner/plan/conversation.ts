import type { PromptLanguage } from '#domain/base/language.ts';
import { MODEL_NOTICES, NO_WORDS, summarisedReplies } from '#domain/planner/model/model-notices.ts';
import { withoutControlTokens } from './model-words.ts';
import { callId, type ToolResult } from './plan.ts';
import type { PlannerReply } from '#domain/planner/model/planner-reply.ts';
import type { ReplyFlaw } from './reply-flaw.ts';

export interface AssistantToolCall {
  id: string;
  type: 'function';
  /** `arguments` is JSON text of an object. */
  function: { name: string; arguments: string };
}

/** One message in the OpenAI shape that the gateway takes (docs/platform.md section 10). */
export type ChatMessage =
  | { role: 'system' | 'user'; content: string }
  | { role: 'assistant'; content: string | null; tool_calls?: AssistantToolCall[] }
  | { role: 'tool'; tool_call_id: string; content: string };

/** What the model said in a round and how each of its calls was answered, in the same order. */
export interface ConversationRound {
  readonly reply: PlannerReply;
  readonly toolResults: readonly ToolResult[];
  /** False for a round that is to be continued: without calls, its words were cut off, or it has a flaw. */
  readonly finished: boolean;
  readonly flaw?: ReplyFlaw | null;
}

/** What stands in place of the rounds up to and including `upToRound`. */
export interface Compaction {
  readonly upToRound: number;
  readonly summary: string;
}

/**
 * The messages for the next round.
 *
 * Calls and their answers get ids by their place, see `callId`. What else a provider could choke on is made regular: a
 * name that no provider would accept, arguments that are no JSON (the answer says so). User and assistant take turns, and
 * compaction replaces whole rounds, so that no answer is left without its call.
 *
 * @throws TypeError when a round leaves a call without an answer: providers refuse such a conversation
 */
export function conversationOf(input: {
  readonly prompt: readonly ChatMessage[];
  readonly rounds: readonly ConversationRound[];
  /** Of the mission. */
  readonly language: PromptLanguage;
  readonly compaction?: Compaction | null;
}): ChatMessage[] {
  const { prompt, rounds, language, compaction = null } = input;
  const summary: ChatMessage[] =
    compaction === null
      ? []
      : [
          { role: 'assistant', content: compaction.summary },
          {
            role: 'user',
            content: `${MODEL_NOTICES[language].resume} ${summarisedReplies(language, compaction.upToRound)}`,
          },
        ];
  const skipped = compaction?.upToRound ?? 0;
  const rest = rounds
    .slice(skipped)
    .flatMap((round, index) => roundMessages(round, skipped + index + 1, language));
  return [...prompt, ...summary, ...rest];
}

/** What a round adds to the conversation. */
export function roundMessages(
  { reply, toolResults, finished, flaw = null }: ConversationRound,
  number: number,
  language: PromptLanguage,
): ChatMessage[] {
  const content = reply.content === '' ? null : reply.content;
  if (reply.toolCalls.length !== toolResults.length)
    throw new TypeError(`round: found ${toolResults.length} answers to ${reply.toolCalls.length} calls`);
  if (toolResults.length === 0) return wordsAlone(content, { finished, flaw, language });
  const toolCalls = toolResults.map((result, index): AssistantToolCall => {
    const call = reply.toolCalls[index];
    const args = call !== undefined && 'arguments' in call ? call.arguments : {};
    return {
      id: callId(number, index),
      type: 'function',
      function: { name: regularName(result.name), arguments: JSON.stringify(args) },
    };
  });
  return [
    { role: 'assistant', content, tool_calls: toolCalls },
    ...toolResults.map((result, index): ChatMessage => ({
      role: 'tool',
      tool_call_id: callId(number, index),
      content: result.content,
    })),
  ];
}

/** An assistant message with neither text nor calls is refused by providers, and it says nothing. */
function wordsAlone(
  content: string | null,
  round: {
    readonly finished: boolean;
    readonly flaw: ReplyFlaw | null;
    readonly language: PromptLanguage;
  },
): ChatMessage[] {
  if (round.finished) return content === null ? [] : [{ role: 'assistant', content }];
  // The provider failed, not the model: it is asked the same once more.
  if (round.flaw === 'provider-error') return [];
  const words = withoutControlTokens(content ?? '');
  return [
    { role: 'assistant', content: words === '' ? NO_WORDS : words },
    { role: 'user', content: noticeAfter(round.flaw, round.language) },
  ];
}

function noticeAfter(flaw: Exclude<ReplyFlaw, 'provider-error'> | null, language: PromptLanguage): string {
  const notices = MODEL_NOTICES[language];
  if (flaw === null) return notices.continue;
  return { refused: notices.refused, 'call-as-text': notices.callAsText, empty: notices.empty }[flaw];
}

const regularName = (name: string): string => (/^[\w-]{1,64}$/.test(name) ? name : 'unknown_tool');

import type { PromptLanguage } from './language.ts';
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

/** What the model said in a round and how each of its calls was answered, in the same order. */
export interface ConversationRound {
  readonly reply: PlannerReply;
  readonly toolResults: readonly ToolResult[];
  /** False for a round that is to be continued: without calls, its words were cut off. */
  readonly finished: boolean;
}

/** What stands in place of the rounds up to and including `upToRound`. */
export interface Compaction {
  readonly upToRound: number;
  readonly summary: string;
}

/** Nobody is there to answer the model, so these two say the little that has to be said. */
const CONTINUE: Readonly<Record<PromptLanguage, string>> = {
  de: 'Deine letzte Antwort ist abgebrochen. Fahre fort und fasse dich kürzer: Rufe die Werkzeuge auf, die noch fehlen, oder schließe mit wenigen Sätzen ab.',
  en: 'Your last answer was cut off. Go on, and be brief: call the tools that are still missing, or close with a few sentences.',
};
const RESUME: Readonly<Record<PromptLanguage, string>> = {
  de: 'Das war die Zusammenfassung deiner bisherigen Runden. Fahre auf dieser Grundlage fort und wiederhole keine Schritte.',
  en: 'That was the summary of your rounds so far. Go on from there, and do not repeat steps.',
};
/** Some providers refuse a message without content. */
const NO_WORDS = '…';

/**
 * The messages for the next round.
 *
 * Calls carry the ids of their answers, because the gateway may have sent empty ones. What a provider could choke on
 * is made regular: a name that no provider would accept, arguments that are no JSON (the answer says so). User and
 * assistant take turns, and compaction replaces whole rounds, so that no answer is left without its call.
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
          { role: 'user', content: RESUME[language] },
        ];
  const rest = rounds.slice(compaction?.upToRound ?? 0);
  return [...prompt, ...summary, ...rest.flatMap((round) => roundMessages(round, language))];
}

function roundMessages(
  { reply, toolResults, finished }: ConversationRound,
  language: PromptLanguage,
): ChatMessage[] {
  const content = reply.content === '' ? null : reply.content;
  if (reply.toolCalls.length !== toolResults.length)
    throw new TypeError(`round: found ${toolResults.length} answers to ${reply.toolCalls.length} calls`);
  if (toolResults.length === 0) return wordsAlone(content, finished, language);
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

/** An assistant message with neither text nor calls is refused by providers, and it says nothing. */
function wordsAlone(content: string | null, finished: boolean, language: PromptLanguage): ChatMessage[] {
  if (finished) return content === null ? [] : [{ role: 'assistant', content }];
  return [
    { role: 'assistant', content: content ?? NO_WORDS },
    { role: 'user', content: CONTINUE[language] },
  ];
}

const regularName = (name: string): string => (/^[\w-]{1,64}$/.test(name) ? name : 'unknown_tool');

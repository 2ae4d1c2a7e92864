import type { ChatMessage } from './conversation.ts';
import { cutAtWord } from '#domain/base/text/prompt-text.ts';
import { estimateTokens } from '#domain/planner/model/token-estimate.ts';

/** Around each message, as models count it. */
const TOKENS_PER_MESSAGE = 4;

export const tokensOfMessages = (messages: readonly ChatMessage[]): number =>
  messages.reduce((sum, message) => sum + tokensOfMessage(message), 0);

function tokensOfMessage(message: ChatMessage): number {
  const calls = message.role === 'assistant' ? (message.tool_calls ?? []) : [];
  return (
    TOKENS_PER_MESSAGE +
    estimateTokens(message.content ?? '') +
    (calls.length === 0 ? 0 : estimateTokens(JSON.stringify(calls)))
  );
}

/** Stands for data that an earlier round has read. */
const LEFT_OUT = 'error: left out for lack of room; call again if you need it';
/** Short answers say `recorded` or what is wrong: they stay. */
const SHORT_CHARS = 300;
const MAX_TEXT_CHARS = 120;

/**
 * A conversation that fits: of earlier rounds, the oldest first, what was read is left out, then the arguments of calls are
 * cut, then whole rounds go. The prompt and the last round stay, but for long arguments if there is no other way, and every
 * call keeps its answer.
 *
 * @param maxTokens estimated
 */
export function fitConversation(messages: readonly ChatMessage[], maxTokens: number): ChatMessage[] {
  const fitted = [...messages];
  let tokens = tokensOfMessages(fitted);
  const put = (index: number, message: ChatMessage): void => {
    tokens += tokensOfMessage(message) - tokensOfMessage(fitted[index] ?? message);
    fitted[index] = message;
  };
  const last = fitted.findLastIndex(({ role }) => role === 'assistant');
  const earlier = [...fitted.keys()].slice(PROMPT_MESSAGES, Math.max(last, PROMPT_MESSAGES));
  for (const shrunk of [withoutData, withShortArguments])
    for (const index of earlier) {
      const message = fitted[index];
      if (tokens > maxTokens && message !== undefined) put(index, shrunk(message));
    }
  while (tokens > maxTokens) {
    // A round begins with the model's message.
    const next = fitted.findIndex(({ role }, index) => index > PROMPT_MESSAGES && role === 'assistant');
    if (next < 0) break;
    const gone = fitted.splice(PROMPT_MESSAGES, next - PROMPT_MESSAGES);
    tokens -= tokensOfMessages(gone);
  }
  const own = fitted.findLastIndex(({ role }) => role === 'assistant');
  const message = fitted[own];
  if (tokens > maxTokens && message !== undefined) put(own, withShortArguments(message));
  return fitted;
}

const PROMPT_MESSAGES = 2;

/** Of the messages that have to stay: the prompt, and the round that is to be answered now. */
export function tokensThatStay(messages: readonly ChatMessage[]): number {
  const last = messages.findLastIndex(({ role }) => role === 'assistant');
  return tokensOfMessages(
    messages.filter((_, index) => index < PROMPT_MESSAGES || (last >= 0 && index >= last)),
  );
}

const withoutData = (message: ChatMessage): ChatMessage =>
  message.role === 'tool' && message.content.length > SHORT_CHARS
    ? { ...message, content: LEFT_OUT }
    : message;

function withShortArguments(message: ChatMessage): ChatMessage {
  if (message.role !== 'assistant' || message.tool_calls === undefined) return message;
  const toolCalls = message.tool_calls.map((call) => ({
    ...call,
    function: { ...call.function, arguments: shortened(call.function.arguments) },
  }));
  return { ...message, tool_calls: toolCalls };
}

const shortened = (json: string): string =>
  JSON.stringify(JSON.parse(json), (_key, value: unknown) =>
    typeof value === 'string' ? cutAtWord(value, MAX_TEXT_CHARS) : value,
  );

import { countTokens } from 'gpt-tokenizer/encoding/o200k_base';
import type { ChatMessage } from '#domain/planner/plan/conversation.ts';

/** Around each message, as providers of this encoding count it. */
const TOKENS_PER_MESSAGE = 4;

/** Tokens of a text, by o200k. Special tokens in it are read as text. */
export const tokensIn = (text: string): number => countTokens(text, { allowedSpecial: new Set() });

export function tokensOfMessage(message: ChatMessage): number {
  const calls = message.role === 'assistant' ? (message.tool_calls ?? []) : [];
  return (
    TOKENS_PER_MESSAGE +
    tokensIn(message.content ?? '') +
    (calls.length === 0 ? 0 : tokensIn(JSON.stringify(calls)))
  );
}

/** Of a list of tools as it is sent, in JSON: what providers make of it differs, and is near this. */
export const tokensOfTools = (tools: readonly unknown[]): number =>
  tools.length === 0 ? 0 : tokensIn(JSON.stringify(tools));

/** How many tokens two texts begin with alike. */
export function sharedPrefixTokens(a: string, b: string): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length += 1;
  return tokensIn(a.slice(0, length));
}

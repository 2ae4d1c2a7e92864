/** Why a reply ends, in the contract's words (docs/platform.md section 10), with two of our own for what it has no word for. */
export type FinishReason = 'stop' | 'tool_calls' | 'length' | 'content_filter' | 'error' | 'refusal';

const WORDS: Readonly<Record<FinishReason, readonly string[]>> = {
  stop: ['stop', 'eos', 'eos_token', 'end', 'end_turn', 'stop_sequence', 'complete', 'completed', 'finish'],
  tool_calls: ['tool_calls', 'tool_call', 'tool_use', 'function_call', 'function_calls'],
  length: ['length', 'max_tokens', 'max_output_tokens', 'max_length', 'model_length', 'token_limit'],
  content_filter: [
    ...['content_filter', 'content_filtered', 'safety', 'image_safety', 'recitation', 'blocklist'],
    ...['prohibited_content', 'spii', 'guardrail_intervened', 'sensitive'],
  ],
  error: [
    ...['error', 'error_toxic', 'failed', 'abort', 'aborted', 'cancelled', 'canceled', 'timeout', 'other'],
    ...['malformed_function_call', 'unexpected_tool_call', 'too_many_tool_calls', 'network_error'],
    ...['insufficient_system_resource', 'missing_thought_signature', 'malformed_response'],
  ],
  refusal: ['refusal', 'refused'],
};
const BY_WORD: ReadonlyMap<string, FinishReason> = new Map(
  Object.entries(WORDS).flatMap(([reason, words]) =>
    words.map((word): [string, FinishReason] => [word, reason as FinishReason]),
  ),
);

/**
 * Providers call the same end by many names, in either case (`eos`, `STOP`, `tool_use`, `MAX_TOKENS`).
 *
 * @returns null for no reason and for one that nobody knows: then the reply is what it holds
 */
export const readFinishReason = (received: unknown): FinishReason | null =>
  typeof received === 'string' ? (BY_WORD.get(received.trim().toLowerCase()) ?? null) : null;

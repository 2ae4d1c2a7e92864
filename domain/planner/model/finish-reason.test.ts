import { expect, it } from 'vitest';
import { readFinishReason } from './finish-reason.ts';

it.each([
  ['stop', ['stop', 'eos', 'end_turn', 'STOP', 'stop_sequence', ' Stop ']],
  ['tool_calls', ['tool_calls', 'tool_use', 'function_call', 'TOOL_CALLS']],
  ['length', ['length', 'max_tokens', 'MAX_TOKENS', 'model_length']],
  ['content_filter', ['content_filter', 'SAFETY', 'RECITATION', 'PROHIBITED_CONTENT']],
  ['error', ['error', 'MALFORMED_FUNCTION_CALL', 'abort', 'OTHER']],
  ['refusal', ['refusal']],
  [null, [null, undefined, '', 7, {}, 'something_new', 'constructor', '__proto__']],
])('%s has many names', (reason, names) => {
  for (const name of names) expect(readFinishReason(name)).toBe(reason);
});

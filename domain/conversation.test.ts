import { expect, test } from 'vitest';
import { conversationOf } from './conversation.ts';
import type { ChatMessage } from './conversation.ts';
import type { PlannerReply } from './planner-reply.ts';

const prompt: ChatMessage[] = [{ role: 'user', content: 'Mission' }];
const replyOf = (content: string | null, toolCalls: PlannerReply['toolCalls']): PlannerReply => ({
  content,
  toolCalls,
  finishReason: 'tool_calls',
  totalTokens: 0,
  promptTokens: 0,
  completionTokens: 0,
  resolvedModel: null,
});

test('calls carry the ids of their answers, and answers follow in order', () => {
  const reply = replyOf('', [
    { id: '', name: 'create_task', arguments: { title: 'x' } },
    { id: 'b', name: 'böse tools', invalidArguments: true, rawArguments: '{"ti' },
  ]);
  const toolResults = [
    { toolCallId: 'call_1_0', name: 'create_task', content: 'recorded' },
    { toolCallId: 'b', name: 'böse tools', content: 'error: no such tool' },
  ];
  expect(conversationOf({ prompt, rounds: [{ reply, toolResults }] })).toEqual([
    { role: 'user', content: 'Mission' },
    {
      role: 'assistant',
      content: null,
      tool_calls: [
        { id: 'call_1_0', type: 'function', function: { name: 'create_task', arguments: '{"title":"x"}' } },
        { id: 'b', type: 'function', function: { name: 'unknown_tool', arguments: '{}' } },
      ],
    },
    { role: 'tool', tool_call_id: 'call_1_0', content: 'recorded' },
    { role: 'tool', tool_call_id: 'b', content: 'error: no such tool' },
  ]);
});

test('a round without calls is its text alone, and nothing when it has none', () => {
  const round = (content: string | null) => ({ reply: replyOf(content, []), toolResults: [] });
  expect(conversationOf({ prompt, rounds: [round('fertig'), round(null), round('')] })).toEqual([
    ...prompt,
    { role: 'assistant', content: 'fertig' },
  ]);
});

test('a call without an answer is refused', () => {
  const reply = replyOf(null, [{ id: 'a', name: 'create_task', arguments: {} }]);
  expect(() => conversationOf({ prompt, rounds: [{ reply, toolResults: [] }] })).toThrow(
    '0 answers to 1 calls',
  );
});

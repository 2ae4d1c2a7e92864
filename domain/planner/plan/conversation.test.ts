import { expect, test } from 'vitest';
import { conversationOf, type ChatMessage } from './conversation.ts';
import type { PlannerReply } from '#domain/planner/model/planner-reply.ts';

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

test('calls and their answers get ids by their place in the run, and answers follow in order', () => {
  const reply = replyOf('', [
    { id: '', name: 'create_task', arguments: { title: 'x' } },
    { id: 'b', name: 'böse tools', invalidArguments: true, rawArguments: '{"ti' },
  ]);
  const toolResults = [
    { toolCallId: 'call_1_0', name: 'create_task', content: 'recorded' },
    { toolCallId: 'b', name: 'böse tools', content: 'error: no such tool' },
  ];
  expect(
    conversationOf({ prompt, rounds: [{ reply, toolResults, finished: false }], language: 'de' }),
  ).toEqual([
    { role: 'user', content: 'Mission' },
    {
      role: 'assistant',
      content: null,
      tool_calls: [
        { id: 'call01000', type: 'function', function: { name: 'create_task', arguments: '{"title":"x"}' } },
        { id: 'call01001', type: 'function', function: { name: 'unknown_tool', arguments: '{}' } },
      ],
    },
    { role: 'tool', tool_call_id: 'call01000', content: 'recorded' },
    { role: 'tool', tool_call_id: 'call01001', content: 'error: no such tool' },
  ]);
});

test('a round without calls is its text alone, and nothing when it has none', () => {
  const round = (content: string | null) => ({
    ...{ reply: replyOf(content, []), toolResults: [], finished: true },
  });
  const rounds = [round('fertig'), round(null), round('')];
  expect(conversationOf({ prompt, rounds, language: 'de' })).toEqual([
    ...prompt,
    { role: 'assistant', content: 'fertig' },
  ]);
});

test('a call without an answer is refused', () => {
  const reply = replyOf(null, [{ id: 'a', name: 'create_task', arguments: {} }]);
  const rounds = [{ reply, toolResults: [], finished: false }];
  expect(() => conversationOf({ prompt, rounds, language: 'de' })).toThrow('0 answers to 1 calls');
});

test.each([
  ['de', 'Ich würde zuerst', /^Deine letzte Antwort ist abgebrochen/],
  ['en', null, /^Your last answer was cut off/],
] as const)(
  'words that were cut off are continued, in the language of the mission: %s',
  (language, words, text) => {
    const rounds = [{ reply: replyOf(words, []), toolResults: [], finished: false }];
    expect(conversationOf({ prompt, rounds, language })).toEqual([
      ...prompt,
      { role: 'assistant', content: words ?? '…' },
      { role: 'user', content: expect.stringMatching(text) as unknown },
    ]);
  },
);

test.each([
  ['refused', 'Das kann ich nicht.', 'Das kann ich nicht.', /^Du hast die Mission abgelehnt/],
  ['empty', null, '…', /^Deine letzte Antwort war leer/],
  ['call-as-text', '<|tool_call|>{"name": 1}<|call|>', '{"name": 1}', /einen Werkzeugaufruf als Text/],
] as const)(
  'what is wrong with a reply is said, and its control tokens do not come back: %s',
  (flaw, words, sent, text) => {
    const rounds = [{ reply: replyOf(words, []), toolResults: [], finished: false, flaw }];
    expect(conversationOf({ prompt, rounds, language: 'de' })).toEqual([
      ...prompt,
      { role: 'assistant', content: sent },
      { role: 'user', content: expect.stringMatching(text) as unknown },
    ]);
  },
);

test('after an error of the provider the same is asked again', () => {
  const flaw = 'provider-error' as const;
  const rounds = [{ reply: replyOf('Ich wür', []), toolResults: [], finished: false, flaw }];
  expect(conversationOf({ prompt, rounds, language: 'de' })).toEqual(prompt);
});

test('ids of calls are not those of another round, also behind a summary', () => {
  const round = {
    reply: replyOf(null, [{ id: 'call_0', name: 'create_task', arguments: {} }]),
    toolResults: [{ toolCallId: 'call_0', name: 'create_task', content: 'recorded' }],
    finished: false,
  };
  const idsOf = (upToRound: number): string[] =>
    conversationOf({
      ...{ prompt, rounds: [round, round, round], language: 'en' },
      compaction: upToRound === 0 ? null : { upToRound, summary: 'x' },
    }).flatMap((message) => (message.role === 'tool' ? [message.tool_call_id] : []));
  expect(idsOf(0)).toEqual(['call01000', 'call02000', 'call03000']);
  expect(idsOf(2)).toEqual(['call03000']);
});

test('a summary stands in place of the rounds that it covers, and leaves no answer without its call', () => {
  const round = (id: string) => ({
    reply: replyOf(null, [{ id, name: 'create_task', arguments: { title: id } }]),
    toolResults: [{ toolCallId: id, name: 'create_task', content: 'recorded' }],
    finished: false,
  });
  const rounds = [round('a'), round('b'), round('c')];
  const compacted = (upToRound: number): ChatMessage[] =>
    conversationOf({
      prompt,
      rounds,
      language: 'en',
      compaction: { upToRound, summary: 'Two tasks so far.' },
    });
  expect(compacted(2).map(({ role }) => role)).toEqual(['user', 'assistant', 'user', 'assistant', 'tool']);
  expect(compacted(2)[1]).toEqual({ role: 'assistant', content: 'Two tasks so far.' });
  expect(compacted(3).map(({ role }) => role)).toEqual(['user', 'assistant', 'user']);
  // The prompt says how many replies there may be: behind a summary they can no longer be counted.
  expect(compacted(1)[2]?.content).toMatch(/do not repeat steps\. It stands for one of your replies\.$/);
  expect(compacted(2)[2]?.content).toMatch(/It stands for 2 of your replies\.$/);
});

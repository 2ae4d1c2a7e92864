import { describe, expect, it } from 'vitest';
import { promptMessages, storedRoundSchema, stepsOfRounds, type StoredRound } from './stored-round.ts';

const step = (id: string) => ({
  id,
  summary: `Schritt ${id}`,
  intent: { kind: 'toolCall' as const, toolName: 'create_task', params: { title: 'x', nested: { a: [1] } } },
  status: 'planned' as const,
});
const entry: StoredRound = {
  prompt: [
    { role: 'system', content: 's' },
    { role: 'user', content: 'u' },
  ],
  unreadableInputs: [{ module: 'notes', table: 'notes', id: 'n1', reason: 'missing or deleted' }],
  reply: {
    content: null,
    toolCalls: [
      { id: '', name: 'create_task', arguments: { title: 'x' } },
      { id: 'c2', name: 'create_task', invalidArguments: true, rawArguments: '{' },
    ],
    finishReason: null,
    totalTokens: 3,
    promptTokens: 2,
    completionTokens: 1,
    resolvedModel: null,
  },
  steps: [step('1')],
  toolResults: [{ toolCallId: 'call_1_0', name: 'create_task', content: 'recorded' }],
  finished: false,
  flaw: null,
  language: 'de',
  flaggedInputs: [],
  knownUrls: [],
  notices: [],
  ...{ requestTokens: 0, compactedUpTo: 0, shrunk: false, shrunkTo: null, unopened: null },
};

describe('storedRoundSchema', () => {
  it('reads back what was stored as JSON, unchanged', () => {
    expect(storedRoundSchema.parse(JSON.parse(JSON.stringify(entry)))).toEqual(entry);
  });

  it.each([
    null,
    {},
    { ...entry, prompt: [{ role: 'tool', content: 'x' }] },
    { ...entry, steps: [{ ...step('1'), status: 'approved' }] },
    { ...entry, reply: { ...entry.reply, totalTokens: -1 } },
  ])('refuses what no round of ours leaves behind', (value) => {
    expect(storedRoundSchema.safeParse(value).success).toBe(false);
  });
});

it('the steps of a plan are those of its rounds, in order', () => {
  const rounds = [entry, { ...entry, steps: [step('2'), step('3')] }, { ...entry, steps: [] }];
  expect(stepsOfRounds(rounds).map(({ id }) => id)).toEqual(['1', '2', '3']);
});

it('the prompt that is kept holds the first two messages only, not the conversation', () => {
  const kept = promptMessages([
    { role: 'system', content: 's' },
    { role: 'user', content: 'u' },
    { role: 'assistant', content: 'a' },
    { role: 'tool', tool_call_id: 'c', content: 't' },
  ]);
  expect(kept).toEqual(entry.prompt);
});

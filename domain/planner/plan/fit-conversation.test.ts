import { describe, expect, it } from 'vitest';
import { conversationOf, type ChatMessage } from './conversation.ts';
import { fitConversation, tokensOfMessages, tokensThatStay } from './fit-conversation.ts';
import { strictRequestProblems } from '#test/support/strict-provider.ts';

const PROMPT: ChatMessage[] = [
  { role: 'system', content: 'Rules.' },
  { role: 'user', content: 'Mission.' },
];
const round = (answer: string, title = 'x') => ({
  reply: {
    ...{ content: null, finishReason: 'tool_calls', resolvedModel: null },
    toolCalls: [
      { id: '', name: 'list_notes', arguments: { query: title } },
      { id: '', name: 'create_task', arguments: { title } },
    ],
    ...{ totalTokens: 0, promptTokens: 0, completionTokens: 0 },
  },
  toolResults: [
    { toolCallId: 'a', name: 'list_notes', content: answer },
    { toolCallId: 'b', name: 'create_task', content: 'recorded' },
  ],
  finished: false,
});
const conversation = (...rounds: ReturnType<typeof round>[]): ChatMessage[] =>
  conversationOf({ prompt: PROMPT, rounds, language: 'en' });
const data = (name: string): string => `${name} ${'and some more words of a note '.repeat(60)}`;
const problemsOf = (messages: readonly ChatMessage[]): string[] =>
  strictRequestProblems(JSON.stringify({ model: 'm', messages, stream: false, temperature: 0.3 }));

describe('a conversation that is too long', () => {
  const whole = conversation(round(data('OLD')), round(data('OLDER')), round(data('NEW')));

  it('stays as it is where it fits', () =>
    expect(fitConversation(whole, tokensOfMessages(whole))).toEqual(whole));

  it('loses what earlier rounds have read, the oldest first, and never what the last one did', () => {
    const once = JSON.stringify(fitConversation(whole, tokensOfMessages(whole) - 100));
    expect(['OLD ', 'OLDER', 'NEW'].map((name) => once.includes(name))).toEqual([false, true, true]);
    expect(once).toContain('error: left out for lack of room');
    const twice = JSON.stringify(fitConversation(whole, tokensOfMessages(whole) - 600));
    expect(['OLD ', 'OLDER', 'NEW'].map((name) => twice.includes(name))).toEqual([false, false, true]);
  });

  it('then the arguments of earlier calls are cut, then whole rounds go; it stays one that providers take', () => {
    const long = conversation(round('x', data('ARGS')), round('y', data('LATER')), round('z'));
    for (const share of [0.9, 0.7, 0.5, 0.3, 0.1, 0]) {
      const fitted = fitConversation(long, tokensOfMessages(long) * share);
      expect(problemsOf(fitted)).toEqual([]);
      expect(fitted.slice(0, 2)).toEqual(PROMPT);
      expect(fitted.slice(-3)).toEqual(long.slice(-3));
    }
    const [, , first] = fitConversation(long, tokensOfMessages(long) * 0.7);
    expect(JSON.stringify(first)).toContain('[…cut]');
    expect(fitConversation(long, 0)).toEqual([...PROMPT, ...long.slice(-3)]);
  });

  it('keeps of its last round everything but long arguments, and those as long as there is another way', () => {
    const long = conversation(round('x'), round('y', data('ARGS')));
    expect(fitConversation(long, tokensThatStay(long))).toEqual([...PROMPT, ...long.slice(-3)]);
    const fitted = fitConversation(long, tokensThatStay(long) - 1);
    expect(JSON.stringify(fitted[2])).toContain('[…cut]');
    expect(fitted.slice(3)).toEqual(long.slice(-2));
    expect(problemsOf(fitted)).toEqual([]);
  });

  it('of a prompt alone is the prompt', () => expect(fitConversation(PROMPT, 0)).toEqual(PROMPT));
});

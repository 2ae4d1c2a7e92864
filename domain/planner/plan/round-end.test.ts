import { describe, expect, it } from 'vitest';
import type { PlannerReply, PlannerToolCall } from '#domain/planner/model/planner-reply.ts';
import { endOfRound, type AnsweredReply, type RoundEnd } from './round-end.ts';

const replyOf = (more: Partial<PlannerReply>): PlannerReply => ({
  ...{ content: null, toolCalls: [], finishReason: 'stop', resolvedModel: null },
  ...{ totalTokens: 0, promptTokens: 0, completionTokens: 0 },
  ...more,
});
const call = (name: string, args: Record<string, unknown> = {}): PlannerToolCall => ({
  ...{ id: '', name, arguments: args },
});
const toolCalls = [call('create_task')];

type Round = Parameters<typeof endOfRound>[1];
/** @param answers to the calls, in their order */
const endOf = (
  reply: Partial<PlannerReply>,
  more: Partial<Round> = {},
  answers: readonly string[] = ['recorded'],
): RoundEnd =>
  endOfRound(
    {
      reply: replyOf(reply),
      toolResults: (reply.toolCalls ?? []).map((_, index) => ({ content: answers[index] ?? '' })),
    },
    { earlier: [], plannedSteps: 0, newSteps: 1, isLast: false, ...more },
  );
const after = (reply: Partial<PlannerReply>, answers: readonly string[], flaw: RoundEnd['flaw'] = null) => {
  const answered: AnsweredReply = {
    reply: replyOf(reply),
    toolResults: answers.map((content) => ({ content })),
  };
  return [{ ...answered, flaw }];
};

describe('a round', () => {
  it('with a flaw is asked about once more, and no further', () => {
    const none = { newSteps: 0 };
    expect(endOf({}, none)).toEqual({ flaw: 'empty', finished: false, repeats: false });
    for (const flaw of ['empty', 'refused', 'call-as-text', 'provider-error'] as const)
      expect(endOf({}, { ...none, earlier: after({}, [], flaw) })).toMatchObject({
        ...{ flaw: 'empty', finished: true },
      });
    expect(endOf({}, { ...none, isLast: true })).toMatchObject({ flaw: 'empty', finished: true });
  });

  it('goes on with calls and with words that were cut off, whatever came before; a filter ends it', () => {
    for (const flaw of [null, 'empty'] as const) {
      const earlier = after({}, [], flaw);
      expect(endOf({ toolCalls }, { earlier }).finished).toBe(false);
      expect(endOf({ content: 'Ich', finishReason: 'length' }, { earlier }).finished).toBe(false);
      expect(endOf({ content: 'Fertig.' }, { earlier }).finished).toBe(true);
      expect(endOf({ toolCalls, finishReason: 'content_filter' }, { earlier }).finished).toBe(true);
    }
  });

  it('is the last one when all its calls were recorded and it closes with words', () => {
    const content = 'Eine Aufgabe für den Ausflug ist geplant.';
    expect(endOf({ toolCalls, content })).toEqual({ flaw: null, finished: true, repeats: false });
    const two = [...toolCalls, call('list_tasks')];
    expect(endOf({ toolCalls: two, content }, {}, ['recorded', '{}']).finished).toBe(false);
    expect(endOf({ toolCalls, content }, { newSteps: 0 }, ['error: title']).finished).toBe(false);
    expect(endOf({ toolCalls, content, finishReason: 'length' }).finished).toBe(false);
  });

  it.each([
    'Ich lege jetzt diese Aufgaben an:',
    'Mal sehen …',
    'Als Nächstes...',
    'Zuerst die Aufgabe',
    'Gut.',
    '',
  ])('goes on when its words announce the calls, or say nothing: "%s"', (content) =>
    expect(endOf({ toolCalls, content }).finished).toBe(false),
  );
});

describe('a round that adds nothing new ends the run', () => {
  const reads = [call('list_tasks', { filter: 'open', limit: 3 })];
  const earlier = after({ toolCalls: reads }, ['{"entries":[]}']);
  const none = { earlier, newSteps: 0 };

  it('when it reads the same again, in whatever order its arguments stand', () => {
    const again = [call('list_tasks', { limit: 3, filter: 'open' })];
    expect(endOf({ toolCalls: again }, none, ['{"entries":[]}'])).toEqual({
      ...{ flaw: null, finished: true, repeats: true },
    });
  });

  it('when it plans the same again, or makes the same mistake', () => {
    expect(endOf({ toolCalls }, none)).toMatchObject({ finished: true, repeats: true });
    const mistake = after({ toolCalls: [call('rm_rf')] }, ['error: no such tool']);
    expect(
      endOf({ toolCalls: [call('rm_rf')] }, { earlier: mistake, newSteps: 0 }, ['error: no such tool']),
    ).toMatchObject({ finished: true, repeats: true });
  });

  it('and not when anything in it is new: a step, an answer, a call, a mistake', () => {
    expect(endOf({ toolCalls }, { earlier }).finished).toBe(false);
    expect(endOf({ toolCalls: reads }, none, ['{"entries":[1]}']).finished).toBe(false);
    expect(endOf({ toolCalls: [call('list_tasks', {})] }, none, ['{"entries":[]}']).finished).toBe(false);
    const mixed = [...reads, call('list_notes')];
    expect(endOf({ toolCalls: mixed }, none, ['{"entries":[]}', 'x']).finished).toBe(false);
  });
});

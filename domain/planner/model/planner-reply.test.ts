import { describe, expect, test } from 'vitest';
import { boundedReply, isCutOff, type PlannerReply, type PlannerToolCall } from './planner-reply.ts';

const replyOf = (more: Partial<PlannerReply>): PlannerReply => ({
  ...{ content: null, toolCalls: [], finishReason: 'stop', resolvedModel: null },
  ...{ totalTokens: 0, promptTokens: 0, completionTokens: 0 },
  ...more,
});
const callWith = (args: unknown): PlannerToolCall => ({
  ...{ id: 'a', name: 'update_website_block' },
  arguments: { blockId: 'b', patch: args },
});
const bounded = (call: PlannerToolCall): PlannerToolCall | undefined =>
  boundedReply(replyOf({ toolCalls: [call] })).toolCalls[0];

/** As a body of 200 may hold it: JSON text, not a literal. */
const fromJson = (text: string): unknown => JSON.parse(text);

describe('a reply within bounds', () => {
  test('stays as it is', () => {
    const reply = replyOf({
      content: 'Fertig.',
      toolCalls: [
        callWith({ title: 'x', blocks: [1, { a: null }] }),
        { id: 'b', name: 'create_task', invalidArguments: true, rawArguments: '{"ti' },
      ],
    });
    expect(boundedReply(reply)).toEqual(reply);
  });

  test.each([
    ['nested deeply', fromJson('['.repeat(5_000) + ']'.repeat(5_000))],
    ['a number beyond all', fromJson('{"width": 1e999}')],
    ['a list without end', Array.from({ length: 3_000 }, () => 0)],
    ['a text without end', 'x'.repeat(30_000)],
    ['a name that JavaScript gives a meaning', fromJson('{"__proto__": {"isAdmin": true}}')],
    ['such a name further inside', fromJson('[{"constructor": {"prototype": {}}}]')],
  ])('arguments with %s are no arguments to carry out', (_, value) =>
    expect(bounded(callWith(value))).toEqual({
      ...{ id: 'a', name: 'update_website_block' },
      ...{ invalidArguments: true, rawArguments: '' },
    }),
  );

  test('text, calls, their names, ids and broken arguments have their longest length', () => {
    const reply = boundedReply(
      replyOf({
        content: 'Wort '.repeat(50_000),
        toolCalls: Array.from({ length: 5_000 }, () => ({
          ...{ id: 'i'.repeat(9_000), name: 'n'.repeat(9_000) },
          ...{ invalidArguments: true as const, rawArguments: '{'.repeat(90_000) },
        })),
      }),
    );
    expect(reply.content?.length).toBeLessThanOrEqual(20_000);
    expect(reply.toolCalls).toHaveLength(100);
    expect(JSON.stringify(reply.toolCalls[0]).length).toBeLessThan(21_000);
  });
});

test('what no database and no provider takes is gone before anything is made of it', () =>
  expect(
    boundedReply(
      replyOf({
        toolCalls: [
          {
            id: 'a\u0000',
            name: 'create_\u0000task',
            arguments: { title: 'x\u0000\ud83d', n: { ['\u0000']: [] } },
          },
        ],
      }),
    ).toolCalls,
  ).toEqual([{ id: 'a', name: 'create_task', arguments: { title: 'x\ufffd', n: { ['']: [] } } }]));

test.each<[boolean, Partial<PlannerReply>]>([
  [true, { finishReason: 'length', content: 'Ich würde zuerst' }],
  [true, { finishReason: 'length', content: null }],
  [false, { finishReason: 'length', toolCalls: [callWith({})] }],
  [false, { finishReason: null }],
  [false, { finishReason: 'stop' }],
])('whether words are to be continued: %s for %j', (expected, reply) =>
  expect(isCutOff(replyOf(reply))).toBe(expected),
);

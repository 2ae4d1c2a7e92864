import { describe, expect, test } from 'vitest';
import { plannerReplySchema } from '#domain/planner/model/planner-reply.ts';
import { readReply as readRaw } from './reply-schema.ts';

const readReply = (bodyText: string, resolvedModel: string | null) => readRaw({ bodyText, resolvedModel });

const body = (message: unknown, rest: Record<string, unknown> = {}): string =>
  JSON.stringify({ choices: [{ message, finish_reason: 'stop' }], ...rest });

const callWith = (args: unknown): string =>
  body({ content: null, tool_calls: [{ id: 'a', function: { name: 'create_task', arguments: args } }] });

test('a stored reply reads back as it was', () => {
  const reply = readReply(callWith('{"title":"x"}'), 'groq/m');
  expect(plannerReplySchema.parse(JSON.parse(JSON.stringify(reply)))).toEqual(reply);
  const invalid = readReply(callWith('{"title'), null);
  expect(plannerReplySchema.parse(JSON.parse(JSON.stringify(invalid)))).toEqual(invalid);
});

test('content in parts is joined', () =>
  expect(
    readReply(
      body({
        content: [
          { type: 'text', text: 'a' },
          { type: 'text', text: 'b' },
        ],
      }),
      null,
    ),
  ).toMatchObject({
    content: 'ab',
  }));

describe('arguments', () => {
  test.each([
    ['', {}],
    [null, {}],
    [undefined, {}],
    [{ title: 'x' }, { title: 'x' }],
    ['"{\\"title\\":\\"x\\"}"', { title: 'x' }],
    ['```json\n{"title":"x"}\n```', { title: 'x' }],
  ])('%j become %j', (sent, read) =>
    expect(readReply(callWith(sent), null)?.toolCalls).toEqual([
      { id: 'a', name: 'create_task', arguments: read },
    ]),
  );

  test.each(['null', '"x"', '7', '[]', 'rubbish', '{"a":1} trailing'])('%j are invalid', (sent) =>
    expect(readReply(callWith(sent), null)?.toolCalls).toEqual([
      { id: 'a', name: 'create_task', invalidArguments: true, rawArguments: sent },
    ]),
  );
});

describe('of an odd reply, what can be read is used', () => {
  const call = { id: 'a', function: { name: 'create_task', arguments: '{"title":"x"}' } };
  const read = { id: 'a', name: 'create_task', arguments: { title: 'x' } };
  const nameless = { id: '', name: '', arguments: {} };

  test.each<[string, Record<string, unknown>, Record<string, unknown>]>([
    [
      'thoughts among the parts',
      { content: [{ type: 'thinking', text: 'Hm' }, 'Fer', { text: 'tig' }] },
      { content: 'Fertig' },
    ],
    ['parts of no known shape', { content: [null, 7, { type: 'image' }, { text: 7 }] }, { content: null }],
    ['content of no known shape', { content: 7 }, { content: null }],
    ['a null among the calls', { tool_calls: [null, call, 7] }, { toolCalls: [nameless, read, nameless] }],
    [
      'calls without names',
      { tool_calls: [{ id: 'b' }, call] },
      { toolCalls: [{ ...nameless, id: 'b' }, read] },
    ],
    ['a name that is no text', { tool_calls: [{ function: { name: 7 } }] }, { toolCalls: [nameless] }],
    ['a number for an id', { tool_calls: [{ ...call, id: 0 }] }, { toolCalls: [{ ...read, id: '0' }] }],
    [
      'an index only',
      { tool_calls: [{ index: 0, function: call.function }] },
      { toolCalls: [{ ...read, id: '' }] },
    ],
    ['one call without a list', { tool_calls: call }, { toolCalls: [read] }],
    ['a call without `function`', { tool_calls: [{ id: 'a', ...call.function }] }, { toolCalls: [read] }],
    ['calls of no known shape', { tool_calls: 'x', content: 'Fertig' }, { toolCalls: [], content: 'Fertig' }],
    [
      'the older way to call',
      { content: null, function_call: call.function },
      { toolCalls: [{ ...read, id: '' }] },
    ],
    ['both ways to call', { tool_calls: [call], function_call: call.function }, { toolCalls: [read] }],
    [
      'calls among the parts',
      { content: [{ type: 'tool_use', id: 'a', name: 'create_task', input: { title: 'x' } }] },
      { toolCalls: [read] },
    ],
    ['calls as text beside calls', { content: '<tool_call>{}', tool_calls: [call] }, { content: null }],
    [
      'thoughts beside the words',
      { content: '<think>Hm</think>Fertig', reasoning_content: 'Hm' },
      { content: 'Fertig' },
    ],
    ['words that refuse', { content: null, refusal: 'No.' }, { content: 'No.', finishReason: 'refusal' }],
    ['an empty refusal', { content: 'Fertig', refusal: '' }, { finishReason: 'stop' }],
  ])('%s', (_, message, expected) => expect(readReply(body(message), null)).toMatchObject(expected));

  test('the first choice with a message is the reply', () =>
    expect(
      readReply(JSON.stringify({ choices: [null, { message: null }, { message: { content: 'a' } }] }), null),
    ).toMatchObject({ content: 'a', finishReason: null }));

  test('an error of the choice is the end of the reply', () => {
    const choice = { message: { content: '' }, finish_reason: null, error: { code: 502 } };
    expect(readReply(JSON.stringify({ choices: [choice] }), null)?.finishReason).toBe('error');
  });

  test.each([
    ['functions.create_task', 'create_task'],
    ['functions.create_task:0', 'create_task'],
    ['default_api:create_task', 'create_task'],
    ['create_task<|channel|>commentary', 'create_task'],
    [' create_task\n', 'create_task'],
    // A Cyrillic letter.
    ['\u0441reate_task', '\u0441reate_task'],
    ['functions.', 'functions'],
    ['::', ''],
  ])('%j names %j', (sent, name) =>
    expect(readReply(body({ tool_calls: [{ function: { name: sent } }] }), null)?.toolCalls[0]?.name).toBe(
      name,
    ),
  );

  test('a reply nested a million deep is read, and its arguments are none', () => {
    const deep = `${'['.repeat(1_000_000)}${']'.repeat(1_000_000)}`;
    const text = `{"choices":[{"message":{"tool_calls":[{"function":{"name":"create_task","arguments":${deep}}}]}}]}`;
    expect(readReply(text, null)?.toolCalls).toEqual([
      { id: '', name: 'create_task', invalidArguments: true, rawArguments: '' },
    ]);
  });
});

describe('a body that holds no reply is never an empty plan', () => {
  test.each([
    'null',
    '[]',
    '{}',
    '{"choices":[]}',
    '{"choices":[{}]}',
    '{"choices":[{"message":null}]}',
    '{"detail":"x"}',
  ])('%s', (text) => expect(readReply(text, null)).toBeNull());
});

test('odd usage counts as nothing spent, not as an error', () => {
  for (const usage of [null, 'x', { total_tokens: -1 }, { total_tokens: 'many' }, { total_tokens: '-7' }])
    expect(readReply(body({ content: 'x' }, { usage }), null)?.totalTokens).toBe(0);
});

test.each([
  ['2147483648', 2_147_483_648],
  ['1.5', 2],
  ['"120"', 120],
  ['"99999999999999999999"', Number.MAX_SAFE_INTEGER],
  ['1e300', Number.MAX_SAFE_INTEGER],
  ['1e999', 0],
  ['-1e300', 0],
  ['-0.5', 0],
])('a usage of %s is within what a column holds: %d', (sent, read) => {
  const text = body({ content: 'x' }, { usage: 'USAGE' }).replace(
    '"USAGE"',
    `{"prompt_tokens":${sent},"completion_tokens":${sent},"total_tokens":${sent}}`,
  );
  const reply = readReply(text, null);
  expect(reply?.promptTokens).toBe(read);
  expect(reply?.totalTokens).toBe(Math.min(2 * read, Number.MAX_SAFE_INTEGER));
  expect(plannerReplySchema.safeParse(reply).success).toBe(true);
});

test('a total that says less than its parts is not believed', () => {
  const usage = { prompt_tokens: 30, completion_tokens: 12, total_tokens: 0 };
  expect(readReply(body({ content: 'x' }, { usage }), null)?.totalTokens).toBe(42);
});

describe('the resolved model', () => {
  const resolved = (header: string | null) => readReply(body({ content: 'x' }), header)?.resolvedModel;

  test.each([
    'groq/m',
    'ollama/gemma3:4b',
    'openrouter/meta-llama/llama-4-scout',
    'google/gemini-2.5-pro@001',
  ])('%s is a name', (name) => expect(resolved(name)).toBe(name));
  test.each([
    null,
    '',
    'alias-alone',
    'The prompt was: plan my week',
    'a/b c',
    'a/b/../../c d',
    `a/${'x'.repeat(99)}`,
    'ä/ö',
  ])('%j is none, and no text of the provider is kept', (name) => expect(resolved(name)).toBeNull());
});

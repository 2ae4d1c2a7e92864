import { describe, expect, test } from 'vitest';
import { plannerReplySchema } from '../domain/planner-reply.ts';
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

describe('a body that holds no reply is never an empty plan', () => {
  test.each([
    'null',
    '[]',
    '{}',
    '{"choices":[]}',
    '{"choices":[{}]}',
    '{"choices":[{"message":null}]}',
    '{"detail":"x"}',
    body({ content: 7 }),
    body({ tool_calls: 'x' }),
    body({ tool_calls: [{ id: 'a' }] }),
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

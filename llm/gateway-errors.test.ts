import { describe, expect, test } from 'vitest';
import { GatewayDeniedError, GatewayRejectedError, GatewayUnavailableError } from '#domain/base/errors.ts';
import { wasNotSent } from '#http/connection-errors.ts';
import { failureOfStatus } from './gateway-errors.ts';
import { parseRetryAfter, senderClockMs } from '#http/replies.ts';

const NOW_MS = Date.parse('2026-05-04T08:00:00Z');
const failure = (status: number, body: unknown, bodyIsText = false) =>
  failureOfStatus({ status, body, bodyIsText, retryAfter: null, nowMs: NOW_MS });

describe('Retry-After', () => {
  test.each([
    ['20', 20_000],
    ['0', 0],
    ['1.5', 1_500],
    ['Mon, 04 May 2026 08:01:01 GMT', 61_000],
    ['Monday, 04-May-26 08:00:10 GMT', 10_000],
    ['Wed, 21 Oct 2015 07:28:00 GMT', 0],
    ['99999999999999999999', 86_400_000],
    ['soon', null],
    ['-5', null],
    ['2027', 2_027_000],
    ['', null],
    [null, null],
  ])('%j is %j ms', (header, waitMs) => expect(parseRetryAfter(header, NOW_MS)).toBe(waitMs));

  test('a date is reckoned by the clock of whoever sent it', () => {
    expect(senderClockMs(new Headers({ date: 'Mon, 04 May 2026 08:00:00 GMT' }))).toBe(NOW_MS);
    for (const date of ['', 'soon', '2026'])
      expect(Math.abs(senderClockMs(new Headers({ date })) - Date.now())).toBeLessThan(60_000);
  });
});

describe('a 400', () => {
  test('with a text may be a hiccup of the provider: one more try', () => {
    expect(failure(400, { detail: '1 validation error for Choice' })).toMatchObject({
      worthOneMoreTry: true,
    });
    expect(failure(400, undefined, true)).toMatchObject({ worthOneMoreTry: true });
  });

  test('for a missing capability is not', () => {
    const error = failure(400, { detail: { kind: 'capability', message: 'x' } });
    expect(error).toBeInstanceOf(GatewayRejectedError);
    expect(error).toMatchObject({ worthOneMoreTry: false });
  });
});

describe('a request that is larger than the window', () => {
  test.each([
    [400, { detail: { kind: 'context_length_exceeded', message: 'x' } }],
    [400, { detail: "This model's maximum context length is 8192 tokens, however you requested 9000" }],
    [400, { detail: { kind: 'bad_request', message: 'prompt is too long: 210000 tokens > 200000 maximum' } }],
    [400, { error: { message: 'Please reduce the length of the messages.' } }],
    [500, { detail: 'the request exceeds the available context size (4096 tokens)' }],
    [500, { detail: 'The input token count (40000) exceeds the maximum number of tokens allowed (32768).' }],
    [500, { detail: "Client error '413 Payload Too Large' for url 'http://provider.test'" }],
    [413, undefined],
  ])('is told from other refusals: %i %j', (status, body) => {
    const error = failure(status, body);
    expect(error).toBeInstanceOf(GatewayRejectedError);
    expect(error.problem).toMatchObject({ overflow: true });
    expect(JSON.stringify(error)).not.toContain('tokens');
  });

  test.each([
    [429, { detail: { kind: 'rate_limit', message: 'too many tokens per minute' } }],
    [500, { detail: "Client error '429 Too Many Requests': too many tokens" }],
    [422, { detail: { kind: 'blocked', message: 'the prompt speaks of a context window' } }],
    [401, { detail: 'context length' }],
    [400, { detail: '1 validation error for Choice' }],
    [503, undefined],
  ])('is not: %i %j', (status, body) => expect(failure(status, body).problem.overflow).toBeUndefined());
});

test('the final kinds are final whatever the status says', () => {
  for (const kind of ['blocked', 'capability'])
    for (const status of [400, 429, 500, 502, 503])
      expect(failure(status, { detail: { kind } })).toBeInstanceOf(GatewayRejectedError);
});

test('a key that is not accepted is the operator’s to mend, ours as well as the provider’s', () => {
  for (const status of [401, 403]) {
    expect(failure(status, { detail: 'Missing API key' })).toBeInstanceOf(GatewayDeniedError);
    const detail = `Client error '${status} x' for url 'http://provider.test'`;
    expect(failure(500, { detail })).toBeInstanceOf(GatewayDeniedError);
  }
  for (const status of [400, 429, 500, 502, 503])
    expect(failure(status, { detail: { kind: 'auth' } })).toBeInstanceOf(GatewayDeniedError);
});

test('a status that speaks of load or of the server itself is worth another try', () => {
  for (const status of [408, 429, 500, 502, 503, 504, 529])
    expect(failure(status, undefined)).toBeInstanceOf(GatewayUnavailableError);
});

describe('a 500 that tells of the provider', () => {
  const told = (text: string) =>
    failure(500, { detail: `Client error '${text}' for url 'http://provider.test'` });

  test.each(['429 Too Many Requests', '408 Request Timeout'])('%s is worth another try later', (text) =>
    expect(told(text)).toBeInstanceOf(GatewayUnavailableError),
  );
  test.each(['400 Bad Request', '404 Not Found', '422 Unprocessable Entity'])(
    '%s gets one more try, and not two hours of them',
    (text) => {
      expect(told(text)).toBeInstanceOf(GatewayRejectedError);
      expect(told(text)).toMatchObject({ worthOneMoreTry: true, problem: { status: 500, kind: null } });
    },
  );
  test('400 Bad Request may hide that the request was too large; no other does', () => {
    expect(told('400 Bad Request').problem.mayOverflow).toBe(true);
    for (const text of ['404 Not Found', '422 Unprocessable Entity', '429 Too Many Requests'])
      expect(told(text).problem.mayOverflow).toBeUndefined();
    expect(failure(400, { detail: '1 validation error for Choice' }).problem.mayOverflow).toBeUndefined();
  });
  test('without a status of its own is worth another try later', () =>
    expect(failure(500, { detail: "Server error '503'" })).toBeInstanceOf(GatewayUnavailableError));
});

test('the kind is an identifier, never a sentence', () => {
  expect(failure(500, { detail: { kind: 'Client error: the prompt was …' } }).problem.kind).toBeNull();
  expect(failure(500, { detail: { kind: 7 } }).problem.kind).toBeNull();
});

describe('a request certainly never left', () => {
  const coded = (code: string, more: object = {}) => Object.assign(new Error('x'), { code, ...more });

  test.each([
    ['when the connection was refused', coded('ECONNREFUSED')],
    ['when the name is unknown', new TypeError('fetch failed', { cause: coded('ENOTFOUND') })],
    [
      'when every address of the host failed to connect',
      new AggregateError([coded('ENETUNREACH', { syscall: 'connect' }), coded('ECONNREFUSED')]),
    ],
  ])('%s', (_, error) => expect(wasNotSent(error)).toBe(true));

  test.each([
    ['a connection that broke', coded('ECONNRESET', { syscall: 'read' })],
    ['an unreachable host on a connection that stood', coded('EHOSTUNREACH', { syscall: 'write' })],
    ['a timeout', new DOMException('x', 'TimeoutError')],
    ['one address of two that took it', new AggregateError([coded('ECONNREFUSED'), coded('ECONNRESET')])],
    ['no error at all', undefined],
  ])('not after %s', (_, error) => expect(wasNotSent(error)).toBe(false));
});

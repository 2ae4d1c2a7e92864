import { describe, expect, test } from 'vitest';
import { GatewayRejectedError, GatewayUnavailableError } from '../domain/errors.ts';
import { failureOfStatus, parseRetryAfter } from './gateway-errors.ts';

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

test('the final kinds are final whatever the status says', () => {
  for (const kind of ['auth', 'blocked', 'capability'])
    for (const status of [400, 429, 500, 502, 503])
      expect(failure(status, { detail: { kind } })).toBeInstanceOf(GatewayRejectedError);
});

test('a status that speaks of load or of the server itself is worth another try', () => {
  for (const status of [408, 429, 500, 502, 503, 504, 529])
    expect(failure(status, undefined)).toBeInstanceOf(GatewayUnavailableError);
});

test('the kind is an identifier, never a sentence', () => {
  expect(failure(500, { detail: { kind: 'Client error: the prompt was …' } }).problem.kind).toBeNull();
  expect(failure(500, { detail: { kind: 7 } }).problem.kind).toBeNull();
});

import { describe, expect, it } from 'vitest';
import { gatewayRetryDelay, researchRetryDelay, roundRetryDelay, slotRetryDelay } from './retry-delays.ts';
import {
  BudgetReservedError,
  DatabaseUnavailableError,
  GatewayDeniedError,
  GatewayRejectedError,
  GatewayUnavailableError,
  ResearchDeniedError,
  ResearchPendingError,
  ResearchUnavailableError,
  SlotBusyError,
} from '#domain/base/errors.ts';

const unavailable = (retryAfterMs: number | null = null) =>
  new GatewayUnavailableError({ kind: null, status: 503, retryAfterMs });
const least = (): number => 0;
const most = (): number => 0.999_999;
const attempts = Array.from({ length: 40 }, (_, index) => index + 1);
const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

describe('gatewayRetryDelay', () => {
  it('doubles from 5 s to 5 min, with half of it random', () => {
    const shortest = attempts.map((attempt) => gatewayRetryDelay(least)(unavailable(), attempt));
    const longest = attempts.map((attempt) => gatewayRetryDelay(most)(unavailable(), attempt));
    expect(shortest.slice(0, 8)).toEqual([2_500, 5_000, 10_000, 20_000, 40_000, 80_000, 150_000, 150_000]);
    expect(longest.slice(0, 8)).toEqual([5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000]);
    expect(Math.max(...longest.map(Number))).toBe(300_000);
  });

  it('outlasts the gateway’s breaker of 60 s within six attempts, even with the shortest delays', () => {
    const waits = attempts
      .slice(0, 5)
      .map((attempt) => Number(gatewayRetryDelay(least)(unavailable(), attempt)));
    expect(sum(waits)).toBeGreaterThan(60_000);
  });

  it('Retry-After is a lower bound', () => {
    expect(gatewayRetryDelay(least)(unavailable(60_000), 1)).toBe(60_000);
    expect(gatewayRetryDelay(least)(unavailable(0), 1)).toBe(2_500);
    expect(gatewayRetryDelay(most)(unavailable(7_000), 7)).toBe(300_000);
  });

  it('counts the failures of the gateway, not the attempts: five workers that were killed before change nothing', () => {
    const first = new GatewayUnavailableError(
      { kind: null, status: 503, retryAfterMs: null },
      { failures: 1, refusals: 0, unreadable: 0 },
    );
    expect(gatewayRetryDelay(most)(first, 6)).toBe(5_000);
    const denied = new GatewayDeniedError({ kind: 'auth', status: 502, retryAfterMs: null });
    expect(gatewayRetryDelay(most)(denied, 2)).toBe(10_000);
    const hiccup = new GatewayRejectedError({ kind: null, status: 400, retryAfterMs: null }, true, {
      ...{ failures: 2, refusals: 1, unreadable: 0 },
    });
    expect(gatewayRetryDelay(most)(hiccup, 9)).toBe(10_000);
  });

  it('a call that was held back comes when the pause is over, spread over thirty times as long, whatever failed before', () => {
    const heldBack = (retryAfterMs: number) =>
      new GatewayUnavailableError({ kind: null, status: null, notSent: true, heldBack: true, retryAfterMs });
    expect(gatewayRetryDelay(least)(heldBack(2_000), 9)).toBe(2_000);
    expect(gatewayRetryDelay(most)(heldBack(2_000), 9)).toBe(62_000);
    expect(gatewayRetryDelay(most)(heldBack(60_000), 1)).toBe(360_000);
  });

  it('has nothing to say about other errors', () => {
    const refused = new GatewayRejectedError({ kind: null, status: 400, retryAfterMs: 60_000 });
    expect(gatewayRetryDelay(least)(refused, 1)).toBeUndefined();
    expect(gatewayRetryDelay(least)(new SlotBusyError('i', 1), 1)).toBeUndefined();
  });
});

describe('slotRetryDelay', () => {
  it.each([
    ['shortest', least],
    ['longest', most],
  ])('the %s delay lies between 5 s and 60 s at every attempt', (_, random) => {
    for (const attempt of attempts) {
      const delayMs = slotRetryDelay(random)(new SlotBusyError('i', 1), attempt);
      expect(delayMs).toBeGreaterThanOrEqual(5_000);
      expect(delayMs).toBeLessThanOrEqual(60_000);
    }
  });

  it('has nothing to say about other errors', () => {
    expect(slotRetryDelay(least)(unavailable(), 1)).toBeUndefined();
  });
});

describe('roundRetryDelay', () => {
  it('waits 2 s to 10 s for other runs to settle, and otherwise as for the gateway', () => {
    const delays = [least, most].map((random) => roundRetryDelay(random)(new BudgetReservedError(), 7));
    expect(delays).toEqual([2_000, 10_000]);
    expect(roundRetryDelay(least)(unavailable(), 2)).toBe(gatewayRetryDelay(least)(unavailable(), 2));
    expect(roundRetryDelay(least)(new SlotBusyError('i', 1), 1)).toBe(5_000);
    expect(roundRetryDelay(least)(new ResearchPendingError(), 1)).toBeUndefined();
  });
});

describe('a round that met a database which did not answer', () => {
  it('comes again after a minute at most, however often it failed', () => {
    const delays = attempts.map((attempt) => roundRetryDelay(most)(new DatabaseUnavailableError(), attempt));
    expect(delays.slice(0, 8)).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
    expect(Math.max(...delays.map(Number))).toBe(60_000);
  });
});

describe('researchRetryDelay', () => {
  const pending = new ResearchPendingError();

  it('doubles from 10 s to a minute, with half of it random', () => {
    const shortest = attempts.slice(0, 4).map((attempt) => researchRetryDelay(least)(pending, attempt));
    const longest = attempts.slice(0, 4).map((attempt) => researchRetryDelay(most)(pending, attempt));
    expect(shortest).toEqual([5_000, 10_000, 20_000, 30_000]);
    expect(longest).toEqual([10_000, 20_000, 40_000, 60_000]);
  });

  it('heeds Retry-After up to five minutes', () => {
    const after = (retryAfterMs: number) => new ResearchUnavailableError({ status: 503, retryAfterMs });
    expect(researchRetryDelay(least)(after(90_000), 1)).toBe(90_000);
    expect(researchRetryDelay(least)(after(86_400_000), 1)).toBe(300_000);
    expect(researchRetryDelay(least)(new ResearchUnavailableError(null), 1)).toBe(5_000);
    expect(researchRetryDelay(least)(new ResearchDeniedError(401, true), 1)).toBe(5_000);
  });

  it('has nothing to say about other errors', () => {
    expect(researchRetryDelay(least)(unavailable(), 1)).toBeUndefined();
  });
});

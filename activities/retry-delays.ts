import type { RetryDelay } from './failures.ts';
import { GatewayUnavailableError, SlotBusyError } from '../domain/errors.ts';

const GATEWAY_FIRST_MS = 5_000;
const GATEWAY_LONGEST_MS = 5 * 60_000;
const SLOT_FIRST_MS = 5_000;
const SLOT_LONGEST_MS = 60_000;

/** Doubles from `firstMs` to `longestMs`, then takes a random part of the upper half: runs must not come back together. */
const backoffMs = (firstMs: number, longestMs: number, attempt: number, random: () => number): number => {
  const fullMs = Math.min(firstMs * 2 ** (attempt - 1), longestMs);
  return Math.round(fullMs / 2 + (random() * fullMs) / 2);
};

/**
 * When to ask the gateway again. Its breaker answers 503 for 60 s although the provider may be well (contract
 * section 10), so the delays outlast it; `Retry-After` is a lower bound.
 */
export const gatewayRetryDelay =
  (random: () => number): RetryDelay =>
  (error, attempt) => {
    if (!(error instanceof GatewayUnavailableError)) return undefined;
    const backoff = backoffMs(GATEWAY_FIRST_MS, GATEWAY_LONGEST_MS, attempt, random);
    return Math.max(backoff, error.problem.retryAfterMs ?? 0);
  };

/** When to ask for a place at a busy agent again: 5 s to 60 s (architecture section 4). */
export const slotRetryDelay =
  (random: () => number): RetryDelay =>
  (error, attempt) =>
    error instanceof SlotBusyError
      ? Math.max(SLOT_FIRST_MS, backoffMs(2 * SLOT_FIRST_MS, SLOT_LONGEST_MS, attempt, random))
      : undefined;

import type { RetryDelay } from './failures.ts';
import {
  BudgetReservedError,
  DatabaseUnavailableError,
  GatewayRejectedError,
  isGatewayFailure,
  ResearchDeniedError,
  ResearchPendingError,
  ResearchUnavailableError,
  SlotBusyError,
} from '#domain/base/errors.ts';

const GATEWAY_FIRST_MS = 5_000;
const GATEWAY_LONGEST_MS = 5 * 60_000;
const HELD_BACK_SPREAD = 30;
const BUDGET_SHORTEST_MS = 2_000;
const BUDGET_LONGEST_MS = 10_000;
const DATABASE_FIRST_MS = 1_000;
const DATABASE_LONGEST_MS = 60_000;
const RESEARCH_FIRST_MS = 10_000;
const RESEARCH_LONGEST_MS = 60_000;
/** Research may be left out; a mission does not wait a day for it. */
const RESEARCH_LONGEST_RETRY_AFTER_MS = 5 * 60_000;
const SLOT_FIRST_MS = 5_000;
const SLOT_LONGEST_MS = 60_000;

/** Doubles from `firstMs` to `longestMs`, then takes a random part of the upper half: runs must not come back together. */
const backoffMs = (firstMs: number, longestMs: number, attempt: number, random: () => number): number => {
  const fullMs = Math.min(firstMs * 2 ** (attempt - 1), longestMs);
  return Math.round(fullMs / 2 + (random() * fullMs) / 2);
};

/** The sooner the gateway may be well again the sooner, and never all at once: ten thousand runs may be waiting. */
const heldBackDelayMs = (pauseMs: number, random: () => number): number =>
  Math.round(pauseMs + random() * Math.min(HELD_BACK_SPREAD * pauseMs, GATEWAY_LONGEST_MS));

/**
 * When to ask the gateway again. Its breaker answers 503 for 60 s although the provider may be well
 * (docs/platform.md section 10), so the delays outlast it; `Retry-After` is a lower bound.
 */
export const gatewayRetryDelay =
  (random: () => number): RetryDelay =>
  (error, attempt) => {
    if (!isGatewayFailure(error)) return undefined;
    if (error instanceof GatewayRejectedError && !error.worthOneMoreTry) return undefined;
    if (error.problem.heldBack === true) return heldBackDelayMs(error.problem.retryAfterMs ?? 0, random);
    // Of the gateway's failures, not of the attempts: workers that were killed before say nothing about the gateway.
    const failures = error.counted?.failures ?? attempt;
    const backoff = backoffMs(GATEWAY_FIRST_MS, GATEWAY_LONGEST_MS, failures, random);
    return Math.max(backoff, error.problem.retryAfterMs ?? 0);
  };

/** When to ask for a place at a busy agent again: 5 s to 60 s (docs/architecture.md section 4). */
export const slotRetryDelay =
  (random: () => number): RetryDelay =>
  (error, attempt) =>
    error instanceof SlotBusyError
      ? Math.max(SLOT_FIRST_MS, backoffMs(2 * SLOT_FIRST_MS, SLOT_LONGEST_MS, attempt, random))
      : undefined;

/** When to ask whether other runs have settled what they hold of the agent's budget: rounds take seconds. */
const budgetRetryDelay =
  (random: () => number): RetryDelay =>
  (error) =>
    error instanceof BudgetReservedError
      ? Math.round(BUDGET_SHORTEST_MS + random() * (BUDGET_LONGEST_MS - BUDGET_SHORTEST_MS))
      : undefined;

/** The pauses of a round are the gateway's, up to five minutes: nobody waits so long for a database that is back. */
const databaseRetryDelay =
  (random: () => number): RetryDelay =>
  (error, attempt) =>
    error instanceof DatabaseUnavailableError
      ? backoffMs(DATABASE_FIRST_MS, DATABASE_LONGEST_MS, attempt, random)
      : undefined;

/** When to try a round again. */
export const roundRetryDelay =
  (random: () => number): RetryDelay =>
  (error, attempt) =>
    budgetRetryDelay(random)(error, attempt) ??
    databaseRetryDelay(random)(error, attempt) ??
    slotRetryDelay(random)(error, attempt) ??
    gatewayRetryDelay(random)(error, attempt);

/** When to ask for a deep task, or a research service, again. */
export const researchRetryDelay =
  (random: () => number): RetryDelay =>
  (error, attempt) => {
    const isUnavailable = error instanceof ResearchUnavailableError;
    const isWaiting = error instanceof ResearchPendingError || error instanceof ResearchDeniedError;
    if (!isWaiting && !isUnavailable) return undefined;
    const backoff = backoffMs(RESEARCH_FIRST_MS, RESEARCH_LONGEST_MS, attempt, random);
    const retryAfterMs = isUnavailable ? (error.retryAfterMs ?? 0) : 0;
    return Math.max(backoff, Math.min(retryAfterMs, RESEARCH_LONGEST_RETRY_AFTER_MS));
  };

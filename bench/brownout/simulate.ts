import { gatewayRetryDelay } from '#activities/retry-delays.ts';
import { GatewayUnavailableError, isGatewayFailure } from '#domain/base/errors.ts';
import type { Gateway } from '#llm/gateway.ts';
import { limitGateway } from '#llm/gateway-limit.ts';

export interface Brownout {
  readonly missions: number;
  readonly runners: number;
  /** Of the overload, in seconds; the gateway is well after it. */
  readonly seconds: number;
  /** Calls that the gateway answers in a second when it is well; what is above gets 429. */
  readonly capacity: number;
  /** Whether runners limit themselves, or ask whenever a run comes back. */
  readonly isLimited: boolean;
  readonly random: () => number;
}

export interface BrownoutResult {
  /** Requests that reached the gateway, second by second. */
  readonly requests: readonly number[];
  /** Tries that were held back, which cost Temporal and the database an attempt. */
  readonly heldBack: number;
  /** Seconds from the end of the overload to the last reply. */
  readonly doneAfter: number;
}

/**
 * Missions that are due at once while the gateway answers 503, then recovers: the product's own limit and retry delays on a
 * clock of seconds, without network and Temporal.
 */
export async function simulateBrownout(brownout: Brownout): Promise<BrownoutResult> {
  const { missions, runners, seconds, capacity, isLimited, random } = brownout;
  let second = 0;
  let heldBack = 0;
  const requests: number[] = [];
  const gateway: Gateway = {
    complete: () => {
      const before = requests[second] ?? 0;
      requests[second] = before + 1;
      const status = second < seconds ? 503 : before < capacity ? null : 429;
      return status === null
        ? Promise.resolve({ bodyText: '{}', resolvedModel: null })
        : Promise.reject(new GatewayUnavailableError({ kind: null, status, retryAfterMs: null }));
    },
  };
  const gateways = Array.from({ length: runners }, () =>
    isLimited ? limitGateway(gateway, { mostInFlight: 100, now: () => second * 1_000 }) : gateway,
  );
  const delayOf = gatewayRetryDelay(random);
  const due = new Map<number, { readonly runner: number; readonly failures: number }[]>();
  const put = (at: number, one: { readonly runner: number; readonly failures: number }): void => {
    const others = due.get(at);
    if (others === undefined) due.set(at, [one]);
    else others.push(one);
  };
  due.set(
    0,
    Array.from({ length: missions }, (_, index) => ({ runner: index % runners, failures: 1 })),
  );
  let left = missions;
  const signal = new AbortController().signal;
  for (; left > 0; second += 1) {
    requests[second] ??= 0;
    const now = due.get(second) ?? [];
    due.delete(second);
    await Promise.all(
      now.map(async ({ runner, failures }) => {
        try {
          await gateways[runner]?.complete('{}', { signal, idempotencyKey: '' });
          left -= 1;
        } catch (error) {
          if (!isGatewayFailure(error)) throw error;
          if (error.problem.heldBack === true) heldBack += 1;
          const delayMs = delayOf(error, failures) ?? 0;
          const isFailure = error.problem.heldBack !== true;
          put(second + Math.max(1, Math.ceil(delayMs / 1_000)), {
            runner,
            failures: failures + (isFailure ? 1 : 0),
          });
        }
      }),
    );
  }
  return { requests, heldBack, doneAfter: second - seconds };
}

/** Numbers from 0 to 1, the same ones for the same seed (Park and Miller's generator). */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

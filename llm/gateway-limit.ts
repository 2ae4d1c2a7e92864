import pLimit from 'p-limit';
import type { Gateway } from './gateway.ts';
import { GatewayUnavailableError } from '#domain/base/errors.ts';

export interface GatewayLimits {
  /** Most calls of this process at a time. */
  readonly mostInFlight: number;
  /** Milliseconds of a clock that nobody sets: a day back would hold every call back for a day. */
  readonly now?: () => number;
  /** Hears how many calls at a time there may be, from the beginning on. */
  readonly onLimit?: (calls: number) => void;
  readonly onHeldBack?: () => void;
}

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;
/** What a gateway asks for beyond this is left to the delays of the runs. */
const LONGEST_RETRY_AFTER_MS = 60_000;
/** When a call comes back that found the queue full, or waited too long in it; at the soonest. */
const QUEUE_FULL_MS = 2_000;
/**
 * What an attempt has for one call: ten minutes (workflows/activity-policies.ts), less the rounds that went well before it
 * (activities/runner/round/rounds.ts) and what it does besides.
 */
const FOR_A_CALL_MS = 600_000 - 20_000 - 5_000;
const HELD_BACK = { kind: null, status: null, notSent: true, heldBack: true } as const;
/** Too many requests, or not able to answer them. A 500 is about one request, and may be a provider's alone. */
const OVERLOADED: ReadonlySet<number | null> = new Set([null, 408, 429, 502, 503, 504]);

/**
 * Asks no more of a gateway than it can take, which only the gateway knows: additive increase and multiplicative decrease of
 * the calls in flight, as TCP does it (RFC 5681 section 3.1). Each sign of overload halves them, once for all calls that were
 * under way; each reply adds its part. Where nothing but signs come, calls pause, and one at a time asks whether it is over.
 *
 * What is held back is not sent, costs nothing, and gives its activity slot back; Temporal brings it again.
 *
 * @throws GatewayUnavailableError `notSent`, with the time after which another try may be let through
 */
export function limitGateway(
  gateway: Gateway,
  { mostInFlight, now = () => performance.now(), onLimit, onHeldBack }: GatewayLimits,
): Gateway {
  const places = pLimit(mostInFlight);
  let limit = mostInFlight;
  let cutAt = Number.NEGATIVE_INFINITY;
  let pauseMs = 0;
  let pausedUntil = Number.NEGATIVE_INFINITY;
  let repliedSinceCut = true;

  const setLimit = (next: number): void => {
    limit = Math.min(mostInFlight, Math.max(1, next));
    places.concurrency = Math.floor(limit);
    onLimit?.(places.concurrency);
  };
  const onReply = (): void => {
    repliedSinceCut = true;
    pauseMs = 0;
    pausedUntil = Number.NEGATIVE_INFINITY;
    setLimit(limit + 1 / limit);
  };
  const onOverload = (startedAt: number, retryAfterMs: number): void => {
    // Sent before we slowed down: it says nothing about the pace of now.
    if (startedAt < cutAt) return;
    cutAt = now();
    setLimit(limit / 2);
    pauseMs = repliedSinceCut ? 0 : Math.min(LONGEST_PAUSE_MS, Math.max(FIRST_PAUSE_MS, pauseMs * 2));
    pausedUntil = cutAt + Math.max(pauseMs, Math.min(retryAfterMs, LONGEST_RETRY_AFTER_MS));
    repliedSinceCut = false;
  };
  const holdBack = (retryAfterMs: number): never => {
    onHeldBack?.();
    throw new GatewayUnavailableError({ ...HELD_BACK, retryAfterMs });
  };
  const throwIfPaused = (): void => {
    const leftMs = pausedUntil - now();
    if (leftMs > 0) holdBack(leftMs);
  };

  setLimit(mostInFlight);
  const longestWaitMs = FOR_A_CALL_MS - (gateway.timeoutMs ?? 0);
  return {
    ...gateway,
    async complete(bodyText, options) {
      throwIfPaused();
      // Whoever waits, waits for about one call.
      if (places.pendingCount >= places.concurrency) holdBack(QUEUE_FULL_MS);
      const cameAt = now();
      const asking = places(async () => {
        options.signal.throwIfAborted();
        throwIfPaused();
        if (options.lastLook !== undefined) {
          await options.lastLook();
          options.signal.throwIfAborted();
        }
        const startedAt = now();
        // Its attempt could end before a slow model has answered, and the next one would ask, and pay, once more.
        if (startedAt - cameAt > longestWaitMs) holdBack(QUEUE_FULL_MS);
        try {
          const reply = await gateway.complete(bodyText, options);
          onReply();
          return reply;
        } catch (error) {
          if (error instanceof GatewayUnavailableError && OVERLOADED.has(error.problem.status))
            onOverload(startedAt, error.problem.retryAfterMs ?? 0);
          throw error;
        }
      });
      return unlessAborted(asking, options.signal);
    },
  };
}

/** The same, but a call that still waits for its place ends with the signal. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(signal.reason as Error);
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

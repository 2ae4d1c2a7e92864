import { setTimeout as delay } from 'node:timers/promises';

export interface WaitOptions {
  /** A minute by default. */
  readonly deadlineMs?: number;
  /** Between two looks; 25 ms by default. */
  readonly everyMs?: number;
}

type Falsy = false | null | undefined | 0 | '';

/** A machine that stands still for a while has not used up the time of those who wait on it. */
const LONGEST_COUNTED_MS = 1_000;

/**
 * Looks again and again until `condition` gives something truthy, and returns that. A deadline only ends what would wait for ever:
 * it is counted in looks, each with the time it took, a second at most.
 *
 * @param what the awaited fact, for the failure's text
 * @throws Error after the deadline, with the last value; a condition that throws counts as not fulfilled
 */
export async function waitUntil<T>(
  what: string,
  condition: () => Promise<T> | T,
  options: WaitOptions = {},
): Promise<Exclude<T, Falsy>> {
  const { deadlineMs = 60_000, everyMs = 25 } = options;
  let waitedMs = 0;
  for (;;) {
    const lookedAt = performance.now();
    const seen = await look(condition);
    if ('value' in seen && seen.value) return seen.value as Exclude<T, Falsy>;
    if (waitedMs > deadlineMs) {
      const last =
        'value' in seen ? `the last look gave ${JSON.stringify(seen.value)}` : 'the last look failed';
      const options = 'error' in seen ? { cause: seen.error } : {};
      throw new Error(`not true after ${deadlineMs} ms: ${what}; ${last}`, options);
    }
    await delay(everyMs);
    waitedMs += Math.min(performance.now() - lookedAt, Math.max(LONGEST_COUNTED_MS, everyMs));
  }
}

async function look<T>(condition: () => Promise<T> | T): Promise<{ value: T } | { error: unknown }> {
  try {
    return { value: await condition() };
  } catch (error) {
    return { error };
  }
}

import { setTimeout as delay } from 'node:timers/promises';

export interface WaitOptions {
  /** 20 s by default. */
  readonly deadlineMs?: number;
  /** Between two looks; 25 ms by default. */
  readonly everyMs?: number;
}

type Falsy = false | null | undefined | 0 | '';

/**
 * Looks again and again until `condition` gives something truthy, and returns that.
 *
 * @param what the awaited fact, for the failure's text
 * @throws Error after the deadline, with the last value; a condition that throws counts as not fulfilled
 */
export async function waitUntil<T>(
  what: string,
  condition: () => Promise<T> | T,
  options: WaitOptions = {},
): Promise<Exclude<T, Falsy>> {
  const deadlineMs = options.deadlineMs ?? 20_000;
  const deadlineAt = Date.now() + deadlineMs;
  for (;;) {
    const seen = await look(condition);
    if ('value' in seen && seen.value) return seen.value as Exclude<T, Falsy>;
    if (Date.now() > deadlineAt) {
      const last =
        'value' in seen ? `the last look gave ${JSON.stringify(seen.value)}` : 'the last look failed';
      const options = 'error' in seen ? { cause: seen.error } : {};
      throw new Error(`not true after ${deadlineMs} ms: ${what}; ${last}`, options);
    }
    await delay(options.everyMs ?? 25);
  }
}

async function look<T>(condition: () => Promise<T> | T): Promise<{ value: T } | { error: unknown }> {
  try {
    return { value: await condition() };
  } catch (error) {
    return { error };
  }
}

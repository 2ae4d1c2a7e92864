import { setTimeout as delay } from 'node:timers/promises';

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 5_000;
/** A database that is away for longer leaves the process with more than this to worry about. */
const GIVE_UP_AFTER_MS = 120_000;

/**
 * Repeats a short piece of database work until it succeeds, for up to two minutes: for what exists in this process alone and
 * was paid for. The work must bear being done twice, since a commit may have arrived whose answer did not.
 *
 * @param signal nobody waits for the work any more: then one try is all
 * @throws what the last try threw
 */
export async function persistently<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  // Not by the clock of the day: one that is set ahead would give up what was paid for.
  const giveUpAtMs = performance.now() + GIVE_UP_AFTER_MS;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
    try {
      return await work();
    } catch (error) {
      if (signal.aborted || performance.now() + pauseMs > giveUpAtMs) throw error;
      await delay(pauseMs, undefined, { signal }).catch(() => undefined);
    }
  }
}

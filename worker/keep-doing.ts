import { setTimeout as delay } from 'node:timers/promises';

/** For a schedule of our own: what it starts comes as often, or every hour. */
export const KEEP_SCHEDULE_EVERY_MS = 15 * 60_000;

/**
 * Does again and again what an operator may undo at any time, and nobody else would do anew. What fails is done the next time: that
 * Temporal does not answer shows elsewhere.
 *
 * @returns ends it
 */
export function keepDoing(work: () => Promise<unknown>, everyMs: number): () => void {
  const stopped = new AbortController();
  void goOn(work, everyMs, stopped.signal);
  return () => stopped.abort();
}

async function goOn(work: () => Promise<unknown>, everyMs: number, signal: AbortSignal): Promise<void> {
  for (;;) {
    try {
      await delay(everyMs, undefined, { signal, ref: false });
    } catch {
      return;
    }
    await work().catch(() => undefined);
  }
}

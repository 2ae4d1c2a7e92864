/** How long one reading is gone on from: two clocks that only count differ by next to nothing in it. */
const READING_LASTS_MS = 60_000;

/**
 * A server's clock, read once a minute and counted on in between: where it is needed at each attempt of an activity, and nothing of the
 * database otherwise.
 *
 * @param read milliseconds since the epoch
 * @param monotonicMs milliseconds since whenever
 */
export function countedClock(
  read: () => Promise<number>,
  monotonicMs: () => number = () => performance.now(),
): () => Promise<number> {
  let last: { readonly serverMs: number; readonly atMs: number } | null = null;
  return async () => {
    if (last === null || monotonicMs() - last.atMs > READING_LASTS_MS) {
      // Of the moment before it was asked: rather ahead by the way of the answer than behind.
      const atMs = monotonicMs();
      last = { serverMs: await read(), atMs };
    }
    return last.serverMs + monotonicMs() - last.atMs;
  };
}

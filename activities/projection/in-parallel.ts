import pLimit from 'p-limit';

/** Calls of Temporal at a time; a namespace takes some hundred a second. */
export const CONCURRENCY = 10;

/**
 * Works through the items, a few at a time, until one fails or the signal says stop; nothing goes on after that.
 *
 * @throws what the first failing work threw
 */
export async function inParallel<T>(
  items: Iterable<T>,
  signal: AbortSignal,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const failures: unknown[] = [];
  await pLimit(CONCURRENCY).map(items, async (item) => {
    if (signal.aborted || failures.length > 0) return;
    try {
      await work(item);
    } catch (error) {
      failures.push(error);
    }
  });
  if (failures.length > 0) throw failures[0];
}

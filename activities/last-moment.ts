import { Context } from '@temporalio/activity';
import { GatewayUnavailableError } from '#domain/base/errors.ts';

/** Enough to report the failure, and for clocks of database and Temporal that differ by some seconds. */
const MARGIN_MS = 15_000;

/**
 * Ends a gateway call that is still unanswered when the time for all attempts of the activity is about to run out. If
 * the server ended it, its timeout would name no cause, not even the failure of the attempt before (server 1.32), and
 * the user would not learn what was wrong.
 *
 * @param readClock milliseconds since the epoch, of a server: the worker's own may be anything
 * @param work gets a signal that follows the given one, or has a GatewayUnavailableError as its reason
 */
export async function untilLastMoment<T>(
  signal: AbortSignal,
  readClock: () => Promise<number>,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { scheduledTimestampMs, scheduleToCloseTimeoutMs } = Context.current().info;
  // Not set: attempts may go on for ever.
  if (scheduleToCloseTimeoutMs === 0) return work(signal);
  const ending = new AbortController();
  const leftMs = scheduledTimestampMs + scheduleToCloseTimeoutMs - MARGIN_MS - (await readClock());
  const timer = setTimeout(
    () => ending.abort(new GatewayUnavailableError({ kind: null, status: null, retryAfterMs: null })),
    Math.max(leftMs, 0),
  );
  try {
    return await work(AbortSignal.any([signal, ending.signal]));
  } finally {
    clearTimeout(timer);
  }
}

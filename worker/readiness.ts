import type { Client } from '@temporalio/client';
import type { Worker } from '@temporalio/worker';
import type { Check } from '#health/readiness.ts';
import { pollsOf } from '#temporal/task-queue-polls.ts';

const CALL_WITHIN_MS = 1_800;

/** Asks the server whether this very worker polls: it answers now, and it has seen our polls. */
export function pollsAt(client: Client, worker: Worker, kinds: { readonly runsWorkflows: boolean }): Check {
  const types = kinds.runsWorkflows ? (['workflow', 'activity'] as const) : (['activity'] as const);
  const watches = types.map((type) => ({ type, isRecent: watchPolls() }));
  return async () => {
    const state = worker.getState();
    if (state !== 'RUNNING') return `worker is ${state.toLowerCase()}`;
    const { taskQueue, identity } = worker.options;
    for (const { type, isRecent } of watches) {
      const polls = await pollsOf(client, { taskQueue, type, deadlineMs: CALL_WITHIN_MS });
      const seen = polls.filter((poll) => poll.identity === identity).map(({ at }) => at);
      if (!isRecent(seen.sort().at(-1) ?? null)) return 'not polling';
    }
    return 'ok';
  };
}

/** A poll waits at the server for up to a minute; it knows when each one began. */
const POLLED_WITHIN_MS = 90_000;

/**
 * Whether another poll has come lately. When it came, by the server's clock, only tells it from the one before: how long ago that was is
 * measured here, for the two clocks may differ. The first one that is seen counts as new; the server forgets them after five minutes.
 *
 * @param now milliseconds that only go forwards
 */
export function watchPolls(
  now: () => number = () => performance.now(),
): (lastPoll: string | null) => boolean {
  let last: string | null = null;
  let sinceMs = 0;
  return (lastPoll) => {
    if (lastPoll === null) return false;
    if (lastPoll !== last) [last, sinceMs] = [lastPoll, now()];
    return now() - sinceMs <= POLLED_WITHIN_MS;
  };
}

import proto from '@temporalio/proto';
import type { Client } from '@temporalio/client';
import type { Worker } from '@temporalio/worker';
import type { Check } from '#health/readiness.ts';
import { withCallDeadline } from '#temporal/connection.ts';

const { TASK_QUEUE_TYPE_WORKFLOW: WORKFLOW, TASK_QUEUE_TYPE_ACTIVITY: ACTIVITY } =
  proto.temporal.api.enums.v1.TaskQueueType;
const CALL_WITHIN_MS = 1_800;

/** Asks the server whether this very worker polls: it answers now, and it has seen our polls. */
export function pollsAt(client: Client, worker: Worker, kinds: { readonly runsWorkflows: boolean }): Check {
  const types = kinds.runsWorkflows ? [WORKFLOW, ACTIVITY] : [ACTIVITY];
  const watches = types.map((taskQueueType) => ({ taskQueueType, isRecent: watchPolls() }));
  return async () => {
    const state = worker.getState();
    if (state !== 'RUNNING') return `worker is ${state.toLowerCase()}`;
    const { namespace, taskQueue, identity } = worker.options;
    for (const { taskQueueType, isRecent } of watches) {
      const { pollers } = await withCallDeadline(
        client.connection,
        () =>
          client.workflowService.describeTaskQueue({
            namespace,
            taskQueue: { name: taskQueue },
            taskQueueType,
          }),
        CALL_WITHIN_MS,
      );
      const seen = pollers.filter((poller) => poller.identity === identity);
      const polls = seen.map(
        ({ lastAccessTime: at }) => `${at?.seconds?.toString() ?? ''}.${at?.nanos ?? ''}`,
      );
      if (!isRecent(polls.sort().at(-1) ?? null)) return 'not polling';
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

import proto from '@temporalio/proto';
import type { Client } from '@temporalio/client';
import type { Worker } from '@temporalio/worker';
import type { Check } from '#health/readiness.ts';
import { withCallDeadline } from '#temporal/connection.ts';

const { TASK_QUEUE_TYPE_WORKFLOW: WORKFLOW, TASK_QUEUE_TYPE_ACTIVITY: ACTIVITY } =
  proto.temporal.api.enums.v1.TaskQueueType;
const CALL_WITHIN_MS = 1_800;
/** A poll waits at the server for up to a minute; it knows when each one began. */
const POLLED_WITHIN_MS = 90_000;

/** Asks the server whether this very worker polls: it answers now, and it has seen our polls. */
export const pollsAt =
  (client: Client, worker: Worker, kinds: { readonly runsWorkflows: boolean }): Check =>
  async () => {
    const state = worker.getState();
    if (state !== 'RUNNING') return `worker is ${state.toLowerCase()}`;
    const { namespace, taskQueue, identity } = worker.options;
    const types = kinds.runsWorkflows ? [WORKFLOW, ACTIVITY] : [ACTIVITY];
    for (const taskQueueType of types) {
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
      const lastMs = Math.max(
        0,
        ...seen.map(({ lastAccessTime }) => Number(lastAccessTime?.seconds ?? 0) * 1_000),
      );
      if (Date.now() - lastMs > POLLED_WITHIN_MS) return 'not polling';
    }
    return 'ok';
  };

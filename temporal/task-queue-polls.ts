import proto from '@temporalio/proto';
import type { Client } from '@temporalio/client';
import { withCallDeadline } from './connection.ts';

const { TASK_QUEUE_TYPE_WORKFLOW, TASK_QUEUE_TYPE_ACTIVITY } = proto.temporal.api.enums.v1.TaskQueueType;
const TYPES = { workflow: TASK_QUEUE_TYPE_WORKFLOW, activity: TASK_QUEUE_TYPE_ACTIVITY };

/** When a worker's last poll began. A poll waits at the server for up to a minute. */
export interface Poll {
  readonly identity: string;
  /** By the server's clock, `<seconds>.<nanoseconds>`: tells polls apart. */
  readonly at: string;
  /** The same in milliseconds since the epoch. */
  readonly atMs: number;
}

/**
 * The last poll of each worker of a task queue, as far as the server remembers them: five minutes.
 *
 * @throws gRPC errors of the SDK
 */
export async function pollsOf(
  client: Client,
  queue: { readonly taskQueue: string; readonly type: keyof typeof TYPES; readonly deadlineMs: number },
): Promise<Poll[]> {
  const { pollers } = await withCallDeadline(
    client.connection,
    () =>
      client.workflowService.describeTaskQueue({
        namespace: client.options.namespace,
        taskQueue: { name: queue.taskQueue },
        taskQueueType: TYPES[queue.type],
      }),
    queue.deadlineMs,
  );
  return pollers.map(({ identity, lastAccessTime: at }) => ({
    identity: identity ?? '',
    at: `${at?.seconds?.toString() ?? ''}.${at?.nanos ?? ''}`,
    atMs: Number(at?.seconds ?? 0) * 1_000,
  }));
}

import { ScheduleNotFoundError, type Client } from '@temporalio/client';
import { randomUUID } from 'node:crypto';
import { withCallDeadline } from '#temporal/connection.ts';
import { MISSION_RUN_WORKFLOW_TYPE } from '#temporal/messages.ts';

/**
 * The server's clock against ours, positive when it is ahead, and by how much that may be off; whole milliseconds. No call
 * tells the time: a paused schedule that never starts anything is made, which the server stamps, and deleted.
 *
 * @throws gRPC errors of the SDK
 */
export async function serverClock(
  client: Client,
): Promise<{ readonly aheadMs: number; readonly errorMs: number }> {
  const scheduleId = `mana:clock:${randomUUID()}`;
  const sentMs = Date.now();
  const handle = client.schedule.getHandle(scheduleId);
  try {
    await withCallDeadline(client.connection, () =>
      client.schedule.create({
        scheduleId,
        spec: {},
        action: {
          type: 'startWorkflow',
          workflowType: MISSION_RUN_WORKFLOW_TYPE,
          taskQueue: 'mana-nobody',
          args: [],
        },
        state: { paused: true, note: 'mana: compares clocks, starts nothing' },
      }),
    );
    const errorMs = Math.ceil((Date.now() - sentMs) / 2);
    const { info } = await withCallDeadline(client.connection, () => handle.describe());
    return { aheadMs: info.createdAt.getTime() - sentMs - errorMs, errorMs };
  } finally {
    // Also where the answer to its making was lost.
    await withCallDeadline(client.connection, () => handle.delete()).catch((error: unknown) => {
      if (!(error instanceof ScheduleNotFoundError)) throw error;
    });
  }
}

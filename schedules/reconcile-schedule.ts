import { ScheduleAlreadyRunning } from '@temporalio/client';
import type { Client } from '@temporalio/client';
import { withCallDeadline } from '../temporal/connection.ts';
import { PROJECTION_TASK_QUEUE, RECONCILE_SCHEDULES_WORKFLOW_TYPE } from '../workflows/messages.ts';

const RECONCILE_SCHEDULE_ID = 'mana:reconcile-schedules';

/** Has all schedules reconciled every hour; an operator may change or pause the schedule. */
export async function ensureReconcileSchedule(client: Client): Promise<void> {
  try {
    await withCallDeadline(client.connection, () =>
      client.schedule.create({
        scheduleId: RECONCILE_SCHEDULE_ID,
        spec: { intervals: [{ every: '1h' }] },
        action: {
          type: 'startWorkflow',
          workflowType: RECONCILE_SCHEDULES_WORKFLOW_TYPE,
          workflowId: RECONCILE_SCHEDULE_ID,
          taskQueue: PROJECTION_TASK_QUEUE,
          args: [],
        },
        policies: { overlap: 'SKIP', catchupWindow: '1m' },
      }),
    );
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
  }
}

import { ScheduleAlreadyRunning } from '@temporalio/client';
import type { Client } from '@temporalio/client';
import { withCallDeadline } from '../temporal/connection.ts';
import { RUNNER_TASK_QUEUE, SWEEP_RUNS_WORKFLOW_TYPE } from '../workflows/messages.ts';

const SWEEP_SCHEDULE_ID = 'mana:sweep-runs';

/** Has the leftovers of terminated runs swept every quarter of an hour; an operator may change or pause the schedule. */
export async function ensureSweepSchedule(client: Client): Promise<void> {
  try {
    await withCallDeadline(client.connection, () =>
      client.schedule.create({
        scheduleId: SWEEP_SCHEDULE_ID,
        spec: { intervals: [{ every: '15m' }] },
        action: {
          type: 'startWorkflow',
          workflowType: SWEEP_RUNS_WORKFLOW_TYPE,
          workflowId: SWEEP_SCHEDULE_ID,
          taskQueue: RUNNER_TASK_QUEUE,
          args: [],
        },
        policies: { overlap: 'SKIP', catchupWindow: '1m' },
      }),
    );
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
  }
}

import { ScheduleAlreadyRunning, type Client } from '@temporalio/client';
import { withCallDeadline } from '#temporal/connection.ts';
import { describeSchedule } from './schedule-update.ts';
import {
  PROJECTION_TASK_QUEUE,
  RECONCILE_SCHEDULES_WORKFLOW_TYPE,
  RUNNER_TASK_QUEUE,
  SWEEP_RUNS_WORKFLOW_TYPE,
} from '#temporal/messages.ts';

/** Work that belongs to no user. An operator may change or pause its schedule. */
interface SystemSchedule {
  readonly id: string;
  readonly every: '15m' | '1h';
  readonly workflowType: string;
  readonly taskQueue: string;
}

/** Has all schedules reconciled. */
export const RECONCILE_SCHEDULE: SystemSchedule = {
  id: 'mana:reconcile-schedules',
  every: '1h',
  workflowType: RECONCILE_SCHEDULES_WORKFLOW_TYPE,
  taskQueue: PROJECTION_TASK_QUEUE,
};

/** Has the leftovers of terminated runs swept. */
export const SWEEP_SCHEDULE: SystemSchedule = {
  id: 'mana:sweep-runs',
  every: '15m',
  workflowType: SWEEP_RUNS_WORKFLOW_TYPE,
  taskQueue: RUNNER_TASK_QUEUE,
};

export interface SystemWork {
  readonly id: string;
  readonly state: 'there' | 'paused' | 'missing';
}

/** How the schedules of our own stand. @throws gRPC errors of the SDK */
export const systemWorkAt = (client: Client): Promise<SystemWork[]> =>
  Promise.all(
    [RECONCILE_SCHEDULE, SWEEP_SCHEDULE].map(async ({ id }): Promise<SystemWork> => {
      const present = await describeSchedule(client, id);
      return { id, state: present === null ? 'missing' : present.state.paused ? 'paused' : 'there' };
    }),
  );

/** Creates a schedule unless it is there already, as an operator may have changed it. */
export async function ensureSystemSchedule(client: Client, schedule: SystemSchedule): Promise<void> {
  const { id, every, workflowType, taskQueue } = schedule;
  try {
    await withCallDeadline(client.connection, () =>
      client.schedule.create({
        scheduleId: id,
        spec: { intervals: [{ every }] },
        action: { type: 'startWorkflow', workflowType, workflowId: id, taskQueue, args: [] },
        policies: { overlap: 'SKIP', catchupWindow: '1m' },
      }),
    );
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
  }
}

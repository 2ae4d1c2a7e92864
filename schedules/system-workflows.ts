import type { Client } from '@temporalio/client';
import { missionScheduleId } from './schedule-ids.ts';
import { withCallDeadline } from '../temporal/connection.ts';
import {
  HEAL_ITERATIONS_WORKFLOW_TYPE,
  PROJECTION_FOLLOW_WORKFLOW_TYPE,
  PROJECTION_TASK_QUEUE,
  RUNNER_TASK_QUEUE,
} from '../workflows/messages.ts';
import type { HealIterationsInput } from '../workflows/messages.ts';

const PROJECTION_WORKFLOW_ID = 'projection-follow';

/** Starts the workflow that follows the change log, unless it is running: one for the whole namespace. */
export async function startProjection(client: Client): Promise<void> {
  await withCallDeadline(client.connection, () =>
    client.workflow.start(PROJECTION_FOLLOW_WORKFLOW_TYPE, {
      workflowId: PROJECTION_WORKFLOW_ID,
      taskQueue: PROJECTION_TASK_QUEUE,
      args: [],
      workflowIdConflictPolicy: 'USE_EXISTING',
    }),
  );
}

/** Starts putting back a mission's overwritten iterations, unless that is under way (architecture section 4). */
export async function startHealing(client: Client, userId: string, missionId: string): Promise<void> {
  await withCallDeadline(client.connection, () =>
    client.workflow.start(HEAL_ITERATIONS_WORKFLOW_TYPE, {
      workflowId: missionScheduleId(userId, missionId).replace(/^mission:/, 'heal:'),
      taskQueue: RUNNER_TASK_QUEUE,
      args: [{ userId, missionId } satisfies HealIterationsInput],
      workflowIdConflictPolicy: 'USE_EXISTING',
    }),
  );
}

import { WorkflowExecutionAlreadyStartedError, type Client } from '@temporalio/client';
import type { ProjectionPassResult, ReconcileResult } from '#domain/projection/pass-results.ts';
import { missionScheduleId } from './schedule-ids.ts';
import { withCallDeadline } from '#temporal/connection.ts';
import {
  HEAL_ITERATIONS_WORKFLOW_TYPE,
  PROJECTION_FOLLOW_WORKFLOW_TYPE,
  PROJECTION_PASS_WORKFLOW_TYPE,
  PROJECTION_TASK_QUEUE,
  RECONCILE_SCHEDULES_WORKFLOW_TYPE,
  RUNNER_TASK_QUEUE,
  SWEEP_RUNS_WORKFLOW_TYPE,
  type HealIterationsInput,
} from '#temporal/messages.ts';

const PROJECTION_WORKFLOW_ID = 'projection-follow';
const PASS_WORKFLOW_ID = 'projection-pass';
const SWEEP_WORKFLOW_ID = 'sweep-runs';
const RECONCILE_WORKFLOW_ID = 'reconcile-schedules';
/** A pass takes a second as a rule, and longer with a backlog; whoever asked for it does not wait for ever. */
const PASS_WITHIN_MS = 30_000;

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

/**
 * Has the projection make a pass now and waits for its counts. Callers that overlap share one pass.
 *
 * @throws gRPC errors of the SDK when there is no result in time (the pass goes on), WorkflowFailedError
 */
export const runProjectionPass = (
  client: Client,
  deadlineMs = PASS_WITHIN_MS,
): Promise<ProjectionPassResult> =>
  withCallDeadline(
    client.connection,
    async () => {
      const handle = await client.workflow.start<() => Promise<ProjectionPassResult>>(
        PROJECTION_PASS_WORKFLOW_TYPE,
        {
          workflowId: PASS_WORKFLOW_ID,
          taskQueue: PROJECTION_TASK_QUEUE,
          args: [],
          workflowIdConflictPolicy: 'USE_EXISTING',
        },
      );
      return handle.result();
    },
    deadlineMs,
  );

/**
 * Has the projection make a pass that begins after this call: the one that is joined may have looked before. What the joined
 * one started counts, too.
 *
 * @throws see `runProjectionPass`
 */
export async function runFreshPass(client: Client): Promise<ProjectionPassResult> {
  const maybeJoined = await runProjectionPass(client);
  const fresh = await runProjectionPass(client);
  return { ...fresh, started: maybeJoined.started + fresh.started };
}

/** Starts a full reconcile, unless one is under way. */
export const startReconcile = (client: Client) =>
  withCallDeadline(client.connection, () =>
    client.workflow.start<() => Promise<ReconcileResult>>(RECONCILE_SCHEDULES_WORKFLOW_TYPE, {
      workflowId: RECONCILE_WORKFLOW_ID,
      taskQueue: PROJECTION_TASK_QUEUE,
      args: [],
      workflowIdConflictPolicy: 'USE_EXISTING',
    }),
  );

/**
 * Starts a full reconcile, or joins the one under way, and waits for its counts.
 *
 * @throws gRPC errors of the SDK when there is no result in time (the reconcile goes on), WorkflowFailedError
 */
export async function runReconcile(client: Client, deadlineMs: number): Promise<ReconcileResult> {
  const handle = await startReconcile(client);
  return withCallDeadline(client.connection, () => handle.result(), deadlineMs);
}

/**
 * Has the leftovers of terminated runs swept now, or joins the sweep that was asked for before, and waits for its count.
 *
 * @throws gRPC errors of the SDK when there is no result in time (the sweep goes on), WorkflowFailedError
 */
export async function runSweep(client: Client, deadlineMs: number): Promise<{ readonly swept: number }> {
  const handle = await withCallDeadline(client.connection, () =>
    client.workflow.start<() => Promise<{ swept: number }>>(SWEEP_RUNS_WORKFLOW_TYPE, {
      workflowId: SWEEP_WORKFLOW_ID,
      taskQueue: RUNNER_TASK_QUEUE,
      args: [],
      workflowIdConflictPolicy: 'USE_EXISTING',
    }),
  );
  return withCallDeadline(client.connection, () => handle.result(), deadlineMs);
}

/**
 * Starts putting back a mission's overwritten iterations (docs/architecture.md section 4).
 *
 * @returns false when one is under way: it may have read the rows before the one that this is about
 */
export async function startHealing(client: Client, userId: string, missionId: string): Promise<boolean> {
  try {
    await withCallDeadline(client.connection, () =>
      client.workflow.start(HEAL_ITERATIONS_WORKFLOW_TYPE, {
        workflowId: missionScheduleId(userId, missionId).replace(/^mission:/, 'heal:'),
        taskQueue: RUNNER_TASK_QUEUE,
        args: [{ userId, missionId } satisfies HealIterationsInput],
        workflowIdConflictPolicy: 'FAIL',
      }),
    );
    return true;
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return false;
    throw error;
  }
}

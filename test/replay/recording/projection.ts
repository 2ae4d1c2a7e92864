import type { Client } from '@temporalio/client';
import { Worker } from '@temporalio/worker';
import { executionOf, type Execution, type Scenario } from './scenario.ts';
import type { RecordingSystem } from './system.ts';
import { applySchedules } from '#activities/projection/apply-schedules.ts';
import type { ProjectionDependencies } from '#activities/projection/dependencies.ts';
import { projectChanges } from '#activities/projection/project-changes.ts';
import { openDatabase } from '#db/client.ts';
import { createMissionSchedules } from '#schedules/mission-schedules.ts';
import { isRunOpen } from '#runs/open-runs.ts';
import { runProjectionPass, runReconcile, startHealing } from '#schedules/system-workflows.ts';
import { createDataConverter } from '#temporal/data-converter.ts';
import { connectWorker } from '#temporal/worker-connection.ts';
import {
  PROJECTION_FOLLOW_WORKFLOW_TYPE,
  PROJECTION_TASK_QUEUE,
  RUNNER_TASK_QUEUE,
} from '#temporal/messages.ts';
import { writePlaintextMission } from '#test/support/granted-mission.ts';
import { waitUntil } from '#test/support/wait-until.ts';
import { replayCodecKeys } from '#test/replay/codec.ts';

const RECONCILE_WITHIN_MS = 30_000;

/**
 * The projection's activity goes on for five minutes before the workflow continues as new, too long to wait for: here
 * it ends after one real pass. The history has the same events.
 */
async function continuesAsNew(system: RecordingSystem): Promise<Execution> {
  const connection = await connectWorker({ address: system.temporalAddress, namespace: 'default' });
  const database = openDatabase({
    url: system.databases.urls.projection.sync,
    applicationName: 'replay-record',
    maxConnections: 2,
  });
  try {
    const deps = dependenciesOf(system.client, database);
    const worker = await Worker.create({
      connection,
      taskQueue: PROJECTION_TASK_QUEUE,
      dataConverter: createDataConverter(replayCodecKeys),
      workflowBundle: { codePath: system.workflowBundlePath },
      activities: { followChangeLog: () => onePass(deps) },
    });
    return await worker.runUntil(async () => {
      const run = await system.client.workflow.start(PROJECTION_FOLLOW_WORKFLOW_TYPE, {
        workflowId: 'projection-recorded',
        taskQueue: PROJECTION_TASK_QUEUE,
        args: [],
      });
      const first = system.client.workflow.getHandle(run.workflowId, run.firstExecutionRunId);
      await waitUntil(
        'it continued as new',
        async () => (await first.describe()).status.name === 'CONTINUED_AS_NEW',
      );
      await system.client.workflow.getHandle(run.workflowId).terminate();
      return executionOf(run);
    });
  } finally {
    await database.close();
    await connection.close();
  }
}

const dependenciesOf = (
  client: Client,
  database: ProjectionDependencies['database'],
): ProjectionDependencies => ({
  database,
  schedules: createMissionSchedules({ client, taskQueue: RUNNER_TASK_QUEUE }),
  startHealing: (userId, missionId) => startHealing(client, userId, missionId),
  cancelRun: () => Promise.resolve(false),
  mayStart: () => true,
  isRunOpen: (workflowId, runId) => isRunOpen(client, workflowId, runId),
  log: { info: () => undefined, warn: (message) => console.warn(message) },
});

async function onePass(deps: ProjectionDependencies) {
  const { changes } = await projectChanges(deps);
  const { applied: schedules } = await applySchedules(deps, new AbortController().signal);
  return { passes: 1, changes, schedules, overdueStarted: 0 };
}

/** With the real worker; the activity's result is that of the real projection. */
async function whileProjecting<T>(system: RecordingSystem, work: () => Promise<T>): Promise<T> {
  const projecting = await system.startProcess('projection');
  try {
    return await work();
  } finally {
    await projecting.stop();
  }
}

/** A mission with a schedule, which both workflows find. */
const writeScheduledMission = (system: RecordingSystem): Promise<unknown> =>
  writePlaintextMission(system.webApp, 'Plan the next step of the holiday');

const passes = (system: RecordingSystem): Promise<Execution> =>
  whileProjecting(system, async () => {
    await writeScheduledMission(system);
    await runProjectionPass(system.client);
    return latest(system.client, 'projection-pass');
  });

const reconciles = (system: RecordingSystem): Promise<Execution> =>
  whileProjecting(system, async () => {
    await writeScheduledMission(system);
    await runProjectionPass(system.client);
    const { missions } = await runReconcile(system.client, RECONCILE_WITHIN_MS);
    if (missions === 0) throw new Error('the reconcile found no mission');
    return latest(system.client, 'reconcile-schedules');
  });

async function latest(client: Client, workflowId: string): Promise<Execution> {
  const { runId } = await client.workflow.getHandle(workflowId).describe();
  return { workflowId, runId };
}

export const projection: readonly Scenario[] = [
  { name: 'projectionFollow-continues-as-new', record: continuesAsNew },
  { name: 'projectionPass-takes-in-a-mission', record: passes },
  { name: 'reconcileSchedules-compares-a-mission', record: reconciles },
];

import { Worker } from '@temporalio/worker';
import { KEEP_SCHEDULE_EVERY_MS, keepDoing } from './keep-doing.ts';
import type { WorkerContext, WorkerPart } from './part.ts';
import { pollsAt } from './readiness.ts';
import { workerVersion } from './worker-version.ts';
import { workflowSource } from './workflow-bundle.ts';
import { createProjectionActivities } from '#activities/projection/activities.ts';
import { createStartTurns } from '#activities/projection/start-turns.ts';
import type { Config } from '#config.ts';
import { openDatabase } from '#db/client.ts';
import { checkPlanning } from '#db/planning-stop.ts';
import { checkDatabase, syncDatabaseOf } from '#db/readiness.ts';
import { observePoolWait, watchPool } from '#metrics/database.ts';
import { cancelRun } from '#runs/cancel-run.ts';
import { createMissionSchedules } from '#schedules/mission-schedules.ts';
import { isRunOpen } from '#runs/open-runs.ts';
import { ensureSystemSchedule, RECONCILE_SCHEDULE } from '#schedules/system-schedules.ts';
import { startHealing, startProjection, startReconcile } from '#schedules/system-workflows.ts';
import { traceStatements } from '#tracing/sql.ts';
import { PROJECTION_TASK_QUEUE, RUNNER_TASK_QUEUE } from '#temporal/messages.ts';
import { assertUsable } from '#temporal/setup.ts';

/** Following the log has to go on soon after somebody ended it; a start that finds it running costs the server next to nothing. */
const KEEP_FOLLOWING_EVERY_MS = 10_000;

/** Task queue `missions-projection`: follows the change log and keeps the schedules; holds no key of users. */
export async function createProjectionPart(
  context: WorkerContext,
  settings: Config<'projection'>['projection'],
): Promise<WorkerPart> {
  const { clients, logger } = context;
  const { home } = clients;
  await assertUsable(clients, (namespace, error) =>
    logger.warn(
      { namespace, error },
      'a namespace does not answer; its users wait, and it was not looked at',
    ),
  );
  const database = watchPool(
    'sync',
    openDatabase({
      ...{ ...settings.syncDatabase, applicationName: 'mana-missions-projection' },
      onConnection: observePoolWait('sync'),
      around: traceStatements('sync'),
    }),
  );
  const activities = createProjectionActivities({
    database,
    schedules: createMissionSchedules({ client: clients, taskQueue: RUNNER_TASK_QUEUE }),
    startHealing: (userId, missionId) => startHealing(clients.ofUser(userId), userId, missionId),
    mayStart: createStartTurns(),
    cancelRun: (run) => cancelRun(clients, run),
    isRunOpen: (workflowId, runId) => isRunOpen(clients, workflowId, runId),
    log: {
      info: (message, fields) => logger.info(fields, message),
      warn: (message, fields) => logger.warn(fields, message),
    },
  });
  const worker = await Worker.create({
    connection: context.connection,
    namespace: context.namespace,
    taskQueue: PROJECTION_TASK_QUEUE,
    dataConverter: context.dataConverter,
    // What follows the log never ends.
    ...workerVersion(context.buildId, 'AUTO_UPGRADE'),
    ...workflowSource(context.workflowBundlePath, context.logger),
    activities: { ...activities },
    stickyQueueScheduleToStartTimeout: '2s',
    // Following the log ends with the worker and goes on elsewhere: nothing is worth waiting for.
    shutdownGraceTime: 0,
  });
  const keeping: (() => void)[] = [];
  return {
    name: 'projection',
    worker,
    onceRunning: async () => {
      await startProjection(home);
      await ensureSystemSchedule(home, RECONCILE_SCHEDULE);
      await startReconcile(home);
      keeping.push(
        keepDoing(() => startProjection(home), KEEP_FOLLOWING_EVERY_MS),
        keepDoing(() => ensureSystemSchedule(home, RECONCILE_SCHEDULE), KEEP_SCHEDULE_EVERY_MS),
      );
    },
    checks: {
      polls: pollsAt(context.client, worker, { runsWorkflows: true }),
      database: () => checkDatabase(database, syncDatabaseOf('mana_missions_projection')),
      planning: () => checkPlanning(database.system),
    },
    close: () => {
      for (const stop of keeping) stop();
      return database.close();
    },
  };
}

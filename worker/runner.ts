import { Worker } from '@temporalio/worker';
import { KEEP_SCHEDULE_EVERY_MS, keepDoing } from './keep-doing.ts';
import { observedGateway } from './observed-gateway.ts';
import { type WorkerContext, type WorkerPart, HEARTBEAT_INTERVAL } from './part.ts';
import { pollsAt } from './readiness.ts';
import { workerVersion } from './worker-version.ts';
import { workflowSource } from './workflow-bundle.ts';
import { createRunnerActivities } from '#activities/runner/activities.ts';
import type { Config } from '#config.ts';
import { openDatabase } from '#db/client.ts';
import { checkPlanning } from '#db/planning-stop.ts';
import { checkDatabase, syncDatabaseOf } from '#db/readiness.ts';
import { createGateway } from '#llm/gateway.ts';
import { limitGateway } from '#llm/gateway-limit.ts';
import { createResearchServices } from '#research/services.ts';
import { observePoolWait, watchPool } from '#metrics/database.ts';
import { countHeldBack, reportLimit } from '#metrics/gateway.ts';
import { isRunOpen } from '#runs/open-runs.ts';
import { ensureSystemSchedule, SWEEP_SCHEDULE } from '#schedules/system-schedules.ts';
import { traceStatements } from '#tracing/sql.ts';
import { RUNNER_TASK_QUEUE } from '#temporal/messages.ts';

/** Recovery after a killed worker waits for this (docs/architecture.md section 6). */
const STICKY_TIMEOUT = '2s';
/** A gateway call under way may end; what takes longer is aborted and retried elsewhere. */
const SHUTDOWN_GRACE = '30s';
/** As many as the SDK has by itself: research and missions that wait have theirs, however few calls there may be. */
const LEAST_SLOTS = 100;
/**
 * A round holds its slot while it prepares its request, waits and keeps the reply. As many again as calls may be under way keep the
 * gateway at work meanwhile: the next call is ready when one ends (`limitGateway` lets no more than that wait).
 */
const SLOTS_FOR_A_CALL = 2;

/** Task queue `missions`: runs missions, holds the RSA private key and the way to the gateway. */
export async function createRunnerPart(
  context: WorkerContext,
  settings: Config<'runner'>['runner'],
): Promise<WorkerPart> {
  const database = watchPool(
    'sync',
    openDatabase({
      ...{ ...settings.syncDatabase, applicationName: 'mana-missions-runner' },
      onConnection: observePoolWait('sync'),
      around: traceStatements('sync'),
    }),
  );
  if (settings.grantPrivateKeys.length === 0) {
    context.logger.warn(
      'MANA_AI_PRIVATE_KEY_PEM is not set: grants are off, missions without ciphertext run',
    );
  }
  let worker: Worker | null = null;
  const activities = createRunnerActivities({
    database,
    privateKeys: settings.grantPrivateKeys,
    codecKeys: context.codecKeys,
    gateway: limitGateway(
      observedGateway(
        createGateway({
          ...{ baseUrl: settings.gateway.url, serviceKey: settings.gateway.serviceKey },
          timeoutMs: settings.gateway.timeoutMs,
        }),
      ),
      { mostInFlight: settings.gateway.mostInFlight, onLimit: reportLimit, onHeldBack: countHeldBack },
    ),
    planner: settings.planner,
    heartbeatTimeoutMs: settings.heartbeatTimeoutMs,
    isStopping: () => worker !== null && worker.getState() !== 'RUNNING',
    oneRoundEach: settings.roundsPerSecond !== null,
    research: createResearchServices(settings.research),
    isRunOpen: (workflowId, runId) => isRunOpen(context.clients, workflowId, runId),
    random: Math.random,
  });
  const created = await Worker.create({
    connection: context.connection,
    namespace: context.namespace,
    taskQueue: RUNNER_TASK_QUEUE,
    dataConverter: context.dataConverter,
    ...workerVersion(context.buildId, 'PINNED'),
    ...workflowSource(context.workflowBundlePath, context.logger),
    activities: { ...activities },
    stickyQueueScheduleToStartTimeout: STICKY_TIMEOUT,
    shutdownGraceTime: SHUTDOWN_GRACE,
    maxHeartbeatThrottleInterval: HEARTBEAT_INTERVAL,
    maxConcurrentActivityTaskExecutions: Math.max(
      LEAST_SLOTS,
      SLOTS_FOR_A_CALL * settings.gateway.mostInFlight,
    ),
    // Database work is done by local activities, so this is the rate of what goes out: rounds and research.
    ...(settings.roundsPerSecond === null
      ? {}
      : { maxTaskQueueActivitiesPerSecond: settings.roundsPerSecond }),
  });
  worker = created;
  const { home } = context.clients;
  let stopKeeping = (): void => undefined;
  return {
    name: 'runner',
    worker: created,
    // One sweep is enough for the slots of all namespaces.
    onceRunning: async () => {
      await ensureSystemSchedule(home, SWEEP_SCHEDULE);
      stopKeeping = keepDoing(() => ensureSystemSchedule(home, SWEEP_SCHEDULE), KEEP_SCHEDULE_EVERY_MS);
    },
    checks: {
      polls: pollsAt(context.client, created, { runsWorkflows: true }),
      database: () => checkDatabase(database, syncDatabaseOf('mana_missions_runner')),
      planning: () => checkPlanning(database.system),
    },
    close: () => {
      stopKeeping();
      return database.close();
    },
  };
}

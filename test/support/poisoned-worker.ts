import { writeSync } from 'node:fs';
import { Client } from '@temporalio/client';
import { Runtime, Worker } from '@temporalio/worker';
import { createRunnerActivities } from '#activities/runner/activities.ts';
import { createVaultActivities } from '#activities/vault/activities.ts';
import { onWorkChanged, workSinceLastLook } from '#activities/work-under-way.ts';
import { loadConfig, type Config } from '#config.ts';
import { openDatabase, type Database } from '#db/client.ts';
import type { LoadRunInput, PlanRoundInput, RunRef, WriteIterationInput } from '#domain/run/run.ts';
import { startLiveness } from '#health/liveness.ts';
import { createReadiness } from '#health/readiness.ts';
import { createGateway, type Gateway } from '#llm/gateway.ts';
import { createLogger } from '#logging/logger.ts';
import { isRunOpen } from '#runs/open-runs.ts';
import { createDataConverter } from '#temporal/data-converter.ts';
import { connectWorker } from '#temporal/worker-connection.ts';
import { createTemporalLogger } from '#worker/temporal-logger.ts';
import { workflowSource } from '#worker/workflow-bundle.ts';
import { RUNNER_TASK_QUEUE, VAULT_TASK_QUEUE } from '#temporal/messages.ts';

/**
 * A runner or vault worker of the product's own activities, for which one user's data is poison: what works on it in the
 * stages POISON_STAGE (with commas between them) ends the process with SIGKILL, or keeps its event loop busy for ever. Stands
 * for whatever cause a real pill may have.
 */
const role = process.argv[2] === 'vault' ? 'vault' : 'runner';
const poison = {
  userId: process.env['POISON_USER'] ?? '',
  stages: (process.env['POISON_STAGE'] ?? '').split(','),
  hangs: process.env['POISON_KIND'] === 'hang',
};

function takeEffect(stage: string): void {
  // Straight to the file: the process does not come to writing any more.
  writeSync(1, `${JSON.stringify({ msg: 'poisoned', stage })}\n`);
  if (!poison.hangs) process.kill(process.pid, 'SIGKILL');
  for (;;);
}

/** The stage of the poisoned user's run that was begun last. */
let currentStage = '';

/** Poisonous is what the user's log holds: reading it takes effect. */
const poisoned = (database: Database): Database => ({
  ...database,
  asUser: (userId, work) =>
    database.asUser(userId, (tx) =>
      work(
        new Proxy(tx, {
          apply: (statement, thisArgument, given: [TemplateStringsArray, ...unknown[]]) => {
            const readsLog = given[0].join('').includes('sync_changes');
            if (readsLog && userId === poison.userId && poison.stages.includes(currentStage))
              takeEffect(currentStage);
            return Reflect.apply(statement, thisArgument, given) as unknown;
          },
        }),
      ),
    ),
});

const noting =
  <Input extends { readonly userId: string }, Result>(
    stage: string,
    activity: (input: Input) => Promise<Result>,
  ) =>
  (input: Input): Promise<Result> => {
    if (input.userId === poison.userId) currentStage = stage;
    return activity(input);
  };

const config: Config = loadConfig(role);
const logger = createLogger(role, 'info');
Runtime.install({ logger: createTemporalLogger(logger), shutdownSignals: [] });
const connection = await connectWorker(config.temporal);
const { namespace } = config.temporal;
const dataConverter = createDataConverter(config.codecKeys);
const client = new Client({ connection, namespace, dataConverter });

function poisonedGateway(gateway: Gateway): Gateway {
  return {
    complete: (request, options) => {
      if (
        poison.stages.includes('gateway') &&
        JSON.stringify(request).includes(process.env['POISON_WORDS'] ?? '?')
      )
        takeEffect('gateway');
      return gateway.complete(request, options);
    },
  };
}

function runnerActivities(settings: Config<'runner'>['runner'], codecKeys: Config['codecKeys']) {
  const database = poisoned(openDatabase({ ...settings.syncDatabase, applicationName: 'poisoned-runner' }));
  const activities = createRunnerActivities({
    database,
    privateKeys: settings.grantPrivateKeys,
    codecKeys,
    gateway: poisonedGateway(
      createGateway({ baseUrl: settings.gateway.url, serviceKey: settings.gateway.serviceKey }),
    ),
    planner: settings.planner,
    heartbeatTimeoutMs: settings.heartbeatTimeoutMs,
    research: { shallow: null, deep: null },
    isRunOpen: (workflowId, runId) => isRunOpen(client, workflowId, runId),
    random: Math.random,
  });
  return {
    ...activities,
    loadRun: noting('loadRun', (input: LoadRunInput) => activities.loadRun(input)),
    planRound: noting('planRound', (input: PlanRoundInput) => activities.planRound(input)),
    writeIteration: noting('writeIteration', (input: WriteIterationInput) =>
      activities.writeIteration(input),
    ),
    forgetRun: noting('forgetRun', (run: Pick<RunRef, 'userId' | 'missionId' | 'runId'>) =>
      activities.forgetRun(run),
    ),
    sweepRuns: () => {
      currentStage = 'sweepRuns';
      return activities.sweepRuns();
    },
  };
}

function vaultActivities(settings: Config<'vault'>['vault']) {
  const applicationName = 'poisoned-vault';
  const activities = createVaultActivities({
    syncDatabase: poisoned(openDatabase({ ...settings.syncDatabase, applicationName })),
    authDatabase: openDatabase({ ...settings.authDatabase, applicationName }),
    keks: settings.keks,
    acceptV1: true,
  });
  return { sealInputs: noting('sealInputs', (run: RunRef) => activities.sealInputs(run)) };
}

const common = { connection, namespace, dataConverter };
const worker =
  'runner' in config
    ? await Worker.create({
        ...common,
        taskQueue: RUNNER_TASK_QUEUE,
        ...workflowSource(config.workflowBundlePath, logger),
        activities: runnerActivities(config.runner, config.codecKeys),
        stickyQueueScheduleToStartTimeout: '2s',
      })
    : 'vault' in config
      ? await Worker.create({
          ...common,
          taskQueue: VAULT_TASK_QUEUE,
          activities: vaultActivities(config.vault),
        })
      : null;
if (worker === null) throw new TypeError('expected a runner or a vault worker');
process.on('SIGTERM', () => worker.shutdown());
const liveness = await startLiveness({
  ...{ host: config.host, port: config.healthPort, processName: role, logLevel: config.logLevel, logger },
  ...{ readiness: createReadiness({}), workUnderWay: workSinceLastLook, onWorkChanged },
});
const running = worker.run();
logger.info({ healthPort: liveness.port }, 'worker started');
await running;
process.exit(0);

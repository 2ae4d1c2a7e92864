/**
 * The same mission on DBOS, as its documentation would have it: one process, a workflow whose stages are steps, started from a queue.
 * The steps are the product's own functions. Says `polling` once it does. Started by `bench/baselines/dbos.ts`.
 */
import { createPrivateKey } from 'node:crypto';
import { DBOS } from '@dbos-inc/dbos-sdk';
import { DBOS_QUEUE, DBOS_WORKFLOW, type DbosMission, type DbosSettings } from './dbos.ts';
import { runnerDeps } from '#bench/planner/opened-mission.ts';
import { POOL_SIZE } from '#bench/system.ts';
import { loadRun } from '#activities/runner/load-run.ts';
import { planOneRound } from '#activities/runner/round/one-round.ts';
import { forgetRun } from '#activities/runner/forget-run.ts';
import { writeIteration } from '#activities/runner/write-iteration.ts';
import { sealInputs } from '#activities/vault/seal-inputs.ts';
import { openDatabase, type Database } from '#db/client.ts';
import { createGateway } from '#llm/gateway.ts';

const settings = JSON.parse(process.env['SETTINGS'] ?? '') as DbosSettings;
const open = (url: string): Database =>
  openDatabase({ url, applicationName: 'bench-dbos', maxConnections: POOL_SIZE });
const [runner, vaultSync, vaultAuth] = [settings.runnerUrl, settings.vaultSyncUrl, settings.vaultAuthUrl].map(
  open,
) as [Database, Database, Database];
const deps = runnerDeps(
  { databases: { runner }, privateKey: createPrivateKey(settings.privateKeyPem) },
  createGateway({ baseUrl: settings.gatewayUrl, serviceKey: settings.gatewayKey }),
);
const vault = {
  ...{ syncDatabase: vaultSync, authDatabase: vaultAuth, acceptV1: true },
  keks: { default: Buffer.from(settings.kekBase64, 'base64'), byId: new Map<string, Buffer>() },
};
const NEVER = new AbortController().signal;

DBOS.registerWorkflow(
  async ({ userId, missionId, runId }: DbosMission): Promise<string> => {
    const step = <T>(name: string, work: () => Promise<T>): Promise<T> => DBOS.runStep(work, { name });
    const startedAtMs = await DBOS.now();
    const loaded = await step('load', () =>
      loadRun(deps, {
        ...{ userId, missionId, trigger: 'run-now', workflowId: runId, runId, startedAtMs },
        scheduledAtMs: null,
      }),
    );
    if (loaded.outcome !== 'ready') throw new Error(`load: found ${loaded.outcome}, expected ready`);
    const run = { userId, missionId, iterationId: loaded.iterationId, runId };
    await step('seal', () => sealInputs(vault, run));
    for (let round = 1; ; round += 1) {
      const asked = { ...run, round, agentId: loaded.agentId, grantUsable: true };
      const { status } = await step(`round ${round}`, () => planOneRound(deps, asked, NEVER));
      if (status === 'finished') break;
      if (status !== 'continue') throw new Error(`round ${round}: found ${status}, expected continue`);
    }
    const { outcome } = await step('write', () =>
      writeIteration(deps, {
        ...{ ...run, agentId: loaded.agentId, grantUsable: true, startedAtMs },
        result: { kind: 'planned' },
      }),
    );
    if (outcome !== 'planned') throw new Error(`write: found ${outcome}, expected planned`);
    await step('forget', () => forgetRun(deps.database, userId, run));
    return outcome;
  },
  { name: DBOS_WORKFLOW },
);

DBOS.setConfig({ name: 'bench', systemDatabaseUrl: settings.systemUrl, logLevel: 'error' });
await DBOS.launch();
await DBOS.registerQueue(DBOS_QUEUE, {
  workerConcurrency: settings.concurrency,
  minPollingIntervalMs: settings.pollEveryMs,
});
process.once('SIGTERM', () => {
  void DBOS.shutdown().finally(() => process.exit());
});
console.log('polling');

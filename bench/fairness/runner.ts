import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from '@temporalio/worker';
import type { BenchTemporal } from '#bench/servers.ts';
import { createRunnerActivities } from '#activities/runner/activities.ts';
import { openDatabase } from '#db/client.ts';
import type { PlatformDatabases } from '#dev/databases.ts';
import { replyWithText, startScriptedGateway } from '#dev/scripted-gateway.ts';
import { createGateway } from '#llm/gateway.ts';
import { createResearchServices } from '#research/services.ts';
import { createLogger } from '#logging/logger.ts';
import { isRunOpen } from '#runs/open-runs.ts';
import { createDataConverter } from '#temporal/data-converter.ts';
import { connectWorker } from '#temporal/worker-connection.ts';
import { workflowSource } from '#worker/workflow-bundle.ts';
import { RUNNER_TASK_QUEUE } from '#temporal/messages.ts';

/** What makes the missions queue: so many rounds under way, and so long an answer takes. */
export const ROUND_CONCURRENCY = 10;
export const ROUND_MS = 500;

const SERVICE_KEY = 'bench-service-key';
const POOL_SIZE = 10;

/** A round's request at the gateway. */
export interface RoundRecord {
  readonly userId: string;
  /** Of `performance.now()`. */
  readonly atMs: number;
}

export interface BenchRunner {
  /** In the order of their arrival at the gateway. */
  readonly rounds: readonly RoundRecord[];
  close(): Promise<void>;
}

/** The runner's own activities and workflows, with few rounds at a time and a gateway that takes its time. */
export async function benchRunner(
  databases: PlatformDatabases,
  { address, namespace, client, codecKeys }: BenchTemporal,
): Promise<BenchRunner> {
  const rounds: RoundRecord[] = [];
  const gateway = await startScriptedGateway({
    serviceKey: SERVICE_KEY,
    script: async ({ bodyText }) => {
      // The objective names the user.
      const [, userId = 'unknown'] = /Plan for ([\w-]+)\./.exec(bodyText) ?? [];
      rounds.push({ userId, atMs: performance.now() });
      await delay(ROUND_MS);
      return replyWithText('Nothing has to be done.');
    },
  });
  const database = openDatabase({
    url: databases.urls.runner.sync,
    applicationName: 'bench-runner',
    maxConnections: POOL_SIZE,
  });
  const activities = createRunnerActivities({
    database,
    privateKeys: [],
    codecKeys,
    gateway: createGateway({ baseUrl: gateway.url, serviceKey: SERVICE_KEY }),
    planner: {
      ...{ model: 'mana/reasoning', compactModel: 'mana/fast-text', contextTokens: 128_000 },
      maxReplyTokens: 8_192,
      ...{ maxRounds: 5, policyMode: 'flag', defaultTokensPerDay: 1_000_000_000 },
    },
    heartbeatTimeoutMs: 30_000,
    research: createResearchServices({ shallowUrl: null, deep: null }),
    isRunOpen: (workflowId, runId) => isRunOpen(client, workflowId, runId),
    random: Math.random,
  });
  const connection = await connectWorker({ address, namespace });
  const worker = await Worker.create({
    connection,
    namespace,
    taskQueue: RUNNER_TASK_QUEUE,
    dataConverter: createDataConverter(codecKeys),
    ...workflowSource(null, createLogger('bench', 'silent')),
    activities: { ...activities },
    maxConcurrentActivityTaskExecutions: ROUND_CONCURRENCY,
  });
  const running = worker.run();
  return {
    rounds,
    close: async () => {
      worker.shutdown();
      await running;
      await connection.close();
      await gateway.close();
      await database.close();
    },
  };
}

import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { DBOSClient } from '@dbos-inc/dbos-sdk';
import { Client } from 'pg';
import { writeMission } from '#bench/planner/opened-mission.ts';
import { eachOf, until } from '#bench/servers.ts';
import type { BenchSystem } from '#bench/system.ts';
import { withClient } from '#dev/platform-schema.ts';
import { logTail, spawnProcess, waitUntilReady } from '#dev/processes.ts';
import {
  toMissionId,
  type MissionId,
  type UserId,
  toWorkflowRunId,
  type WorkflowRunId,
} from '#domain/base/ids.ts';

export const DBOS_QUEUE = 'missions';
export const DBOS_WORKFLOW = 'missionRun';
const DATABASE = 'bench_dbos';
/** As many as a runner of ours may have calls in flight: neither asks more of the gateway at a time. */
const CONCURRENCY = 100;
/** Its default is a second, which would be most of what a short mission takes. */
const POLL_EVERY_MS = 100;
const AT_A_TIME = 40;
const WITHIN_MS = 600_000;

/** What its process is given. */
export interface DbosSettings {
  readonly systemUrl: string;
  readonly runnerUrl: string;
  readonly vaultSyncUrl: string;
  readonly vaultAuthUrl: string;
  readonly kekBase64: string;
  readonly privateKeyPem: string;
  readonly gatewayUrl: string;
  readonly gatewayKey: string;
  readonly concurrency: number;
  readonly pollEveryMs: number;
}

export interface DbosMission {
  readonly userId: UserId;
  readonly missionId: MissionId;
  readonly runId: WorkflowRunId;
}

export interface DbosBaseline {
  readonly pid: number;
  /** Writes so many missions. @returns what enqueues them at once, waits until all have ended, and tells how many a second */
  prepare(missions: number): Promise<() => Promise<number>>;
  stop(): Promise<void>;
}

/** Starts DBOS's process on the system's database server, which holds its own tables as well. */
export async function startDbos(
  system: BenchSystem,
  gateway: { readonly url: string; readonly serviceKey: string },
  directory: string,
): Promise<DbosBaseline> {
  const systemUrl = system.superuserUrl(DATABASE);
  await withClient(system.superuserUrl('postgres'), (client) => client.query(`create database ${DATABASE}`));
  const { urls } = system;
  const settings: DbosSettings = {
    ...{ systemUrl, runnerUrl: urls.runner.sync, vaultSyncUrl: urls.vault.sync },
    ...{ vaultAuthUrl: urls.vault.auth, kekBase64: system.kek.toString('base64') },
    privateKeyPem: system.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    ...{ gatewayUrl: gateway.url, gatewayKey: gateway.serviceKey },
    ...{ concurrency: CONCURRENCY, pollEveryMs: POLL_EVERY_MS },
  };
  const logFile = join(directory, 'dbos.log');
  const worker = await spawnProcess({
    ...{ name: 'DBOS', command: process.execPath, logFile },
    args: [join(import.meta.dirname, 'dbos-worker.ts')],
    env: { SETTINGS: JSON.stringify(settings) },
  });
  await waitUntilReady(worker, () => Promise.resolve(logTail(logFile).includes('polling')), 60_000);
  const client = await DBOSClient.create({ systemDatabaseUrl: systemUrl });
  const counter = new Client({ connectionString: systemUrl });
  await counter.connect();
  return {
    pid: worker.pid,
    prepare: async (missions) => {
      const written: DbosMission[] = [];
      await eachOf(Array.from({ length: missions }), 4, async () => {
        const { user, missionId } = await writeMission(system);
        written.push({
          userId: user.userId,
          missionId: toMissionId(missionId),
          runId: toWorkflowRunId(randomUUID()),
        });
      });
      return async () => {
        const label = randomUUID();
        const startedMs = performance.now();
        await eachOf(written, AT_A_TIME, (mission) =>
          client.enqueue(
            {
              ...{ queueName: DBOS_QUEUE, workflowName: DBOS_WORKFLOW },
              workflowID: `${label}:${mission.runId}`,
            },
            mission,
          ),
        );
        const allHaveEnded = async (): Promise<boolean> => {
          const { rows } = await counter.query<{ status: string; count: number }>(
            `select status, count(*)::int as count from dbos.workflow_status where starts_with(workflow_uuid, $1) group by status`,
            [label],
          );
          if (rows.some(({ status }) => status === 'ERROR'))
            throw new Error(`DBOS: a mission failed\n${logTail(logFile)}`);
          return rows.some(({ status, count }) => status === 'SUCCESS' && count === missions);
        };
        await until('all missions have ended on DBOS', allHaveEnded, WITHIN_MS);
        return missions / ((performance.now() - startedMs) / 1_000);
      };
    },
    stop: async () => {
      await client.destroy();
      await counter.end();
      await worker.stop();
    },
  };
}

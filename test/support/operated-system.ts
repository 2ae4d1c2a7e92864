import type { Client } from '@temporalio/client';
import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { findingsOf, type DoctorCheck, type Finding } from '#commands/finding.ts';
import { databaseChecks, databasesOf } from '#commands/doctor/databases.ts';
import { judgeProcesses } from '#commands/doctor/processes.ts';
import { gate } from '#dev/scripted-gateway.ts';
import type { ProcessRole } from '#config/zones.ts';
import { missionScheduleSpec } from '#domain/cadence/schedule-spec.ts';
import { createMissionSchedules } from '#schedules/mission-schedules.ts';
import { surroundingsOf } from '#test/faults/surroundings.ts';
import { query } from './inspect.ts';
import { startMissionSystem, SERVICE_KEY, type MissionSystem } from './mission-system.ts';
import { replyOfTwoRounds } from './planner-scripts.ts';
import { environmentOf } from './worker-process.ts';

export type Env = Readonly<Record<string, string>>;

export let system: MissionSystem;
/** The gateway answers missions with this objective once the gate opens. */
export const HELD = 'objective-held-back';
export const held = gate();
/** What an operator has who has everything. */
export let operator: Env;
/** Of one process alone. */
export let envOf: (role: Exclude<ProcessRole, 'all'>) => Env;
let gateway: Server;
/** What the gateway answers to whom it is asked for its models by. */
let modelsStatus = 200;
export const answerModelsWith = (status: number): void => void (modelsStatus = status);

/** Starts a whole service, and what stands around it. Call `stopOperated` at the end. */
export async function startOperated(): Promise<void> {
  system = await startMissionSystem({
    script: (request) =>
      request.bodyText.includes(HELD) ? held.hold(replyOfTwoRounds(request)) : replyOfTwoRounds(request),
  });
  gateway = createServer((request, response) => {
    const isKnown = request.url === '/v1/models' && request.headers['x-api-key'] === SERVICE_KEY;
    response.writeHead(isKnown ? modelsStatus : 401).end('{"data":[]}');
  });
  gateway.listen(0, '127.0.0.1');
  await once(gateway, 'listening');
  const around = {
    ...(await surroundingsOf(system)),
    gateway: { url: `http://127.0.0.1:${(gateway.address() as AddressInfo).port}`, serviceKey: SERVICE_KEY },
  };
  envOf = (role) => environmentOf(role, around);
  const { SYNC_DATABASE_URL: apiUrl = '', ...api } = envOf('api');
  const hash = createHash('sha256').update(SERVICE_KEY).digest('hex');
  operator = {
    ...environmentOf('all', around),
    ...{ ...api, SYNC_DATABASE_URL_API: apiUrl, MANA_SERVICE_KEY_SHA256: hash, OPERATOR_TOKEN_SHA256: hash },
    MAINTENANCE_DATABASE_URL: system.databases.urls.maintenance.sync,
  };
  await scheduleOf('planted', system.client);
}
export async function stopOperated(): Promise<void> {
  held.open();
  gateway.close();
  await system.close();
}

/** A schedule whose input is under the client's first key. */
export async function scheduleOf(userId: string, client: Client): Promise<void> {
  const spec = missionScheduleSpec({
    cadence: { kind: 'interval', everyMinutes: 60 },
    nextRunAtMs: Date.now() + 3_600_000,
    timeZone: 'UTC',
  });
  if (spec === null) throw new Error('no spec');
  const schedules = createMissionSchedules({ client, taskQueue: 'nobody' });
  await schedules.ensure({ userId, missionId: 'mission', agentId: null, spec });
}

/** Makes some of the checks alone. */
export async function made(checks: readonly DoctorCheck[]): Promise<Finding[]> {
  return (await Promise.all(checks.map((check) => findingsOf(check, [])))).flat();
}

export const configsOf = (env: Env, ...roles: ProcessRole[]) =>
  judgeProcesses(env, roles).flatMap(({ config }) => (config === null ? [] : [config]));
export const databaseFindings = (env: Env, ...roles: ProcessRole[]): Promise<Finding[]> =>
  made(databaseChecks(databasesOf(configsOf(env, ...roles)), env['MAINTENANCE_DATABASE_URL'] ?? null));
export const withStatus = (found: readonly Finding[], status: Finding['status']): string[] =>
  found.filter((finding) => finding.status === status).map((finding) => `${finding.check}: ${finding.found}`);

export const superuser = (sql: string, values: readonly unknown[] = []) =>
  query(system.databases.superuser.syncUrl, sql, values);

import { randomUUID } from 'node:crypto';
import { Client } from '@temporalio/client';
import { Client as DatabaseClient } from 'pg';
import { eachOf, until } from '#bench/servers.ts';
import { grantRequest } from '#bench/system.ts';
import type { Stack } from '#dev/stack.ts';
import { missionAt, noteAt, type WebAppUser } from '#dev/web-app.ts';
import { MISSION_RUN_WORKFLOW_TYPE, RUNNER_TASK_QUEUE, type MissionRunInput } from '#temporal/messages.ts';
import { runSearchAttributes } from '#schedules/schedule-request.ts';
import { toUserId } from '#domain/base/ids.ts';
import { fairnessKeyOf } from '#domain/run/fairness.ts';

const NOTES = 3;
const NOTE_BYTES = 2_048;
const AT_A_TIME = 40;
const WITHIN_MS = 1_200_000;

export interface LoadedMission {
  readonly user: Pick<WebAppUser, 'userId'>;
  readonly missionId: string;
}

/** Encrypted missions on three notes of 2 kB each, with their grants; each of a user of its own. */
export async function writeMissions(stack: Stack, count: number): Promise<LoadedMission[]> {
  const missions: LoadedMission[] = [];
  await eachOf(Array.from({ length: count }), 4, async () => {
    const user = await stack.webApp.createUser();
    const missionId = randomUUID();
    const noteIds = Array.from({ length: NOTES }, () => randomUUID());
    for (const id of noteIds)
      await stack.webApp.insert(user, noteAt(id), { content: user.encrypt('x'.repeat(NOTE_BYTES)) });
    const grant = await mint(stack, user, missionId, noteIds);
    await stack.webApp.insert(user, missionAt(missionId), {
      ...{ title: user.encrypt('Bench'), objective: user.encrypt('Bench'), conceptMarkdown: '' },
      ...{ state: 'active', cadence: { kind: 'manual' }, nextRunAt: null, iterations: [], grant },
      inputs: noteIds.map((id) => ({ module: 'notes', table: 'notes', id })),
    });
    missions.push({ user, missionId });
  });
  return missions;
}

/** Without ciphertext and without a grant, each of a user of its own. */
export async function writePlainMissions(stack: Stack, count: number): Promise<LoadedMission[]> {
  const missions = Array.from({ length: count }, () => ({
    user: { userId: toUserId(`user-${randomUUID()}`) },
    missionId: randomUUID(),
  }));
  const record = {
    ...{
      createdAt: new Date().toISOString(),
      title: 'Weekly plan',
      conceptMarkdown: '',
      objective: 'Plan the week.',
    },
    ...{ state: 'active', cadence: { kind: 'manual' }, inputs: [], iterations: [] },
  };
  const writer = new DatabaseClient({ connectionString: stack.databases.superuser.syncUrl });
  await writer.connect();
  await writer.query(
    `insert into public.sync_changes
       (app_id, table_name, record_id, user_id, op, data, client_id, actor, origin)
     select 'ai', 'aiMissions', id, user_id, 'insert', $1::jsonb || jsonb_build_object('id', id), 'device-1',
       '{"kind": "user"}'::jsonb, 'user'
     from unnest($2::text[], $3::text[]) written (id, user_id)`,
    [
      JSON.stringify(record),
      missions.map(({ missionId }) => missionId),
      missions.map(({ user }) => user.userId),
    ],
  );
  await writer.query('analyze public.sync_changes');
  await writer.end();
  return missions;
}

async function mint(stack: Stack, user: WebAppUser, missionId: string, noteIds: readonly string[]) {
  const token = await stack.issuer.issueToken({ sub: user.userId });
  const response = await fetch(`${stack.apiUrl}/api/v1/me/ai-mission-grant`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(grantRequest(missionId, noteIds)),
    signal: AbortSignal.timeout(10_000),
  });
  if (!response.ok) throw new Error(`mint: found status ${response.status}, expected 200`);
  return response.json();
}

/** Starts a run of each mission at once and waits until all have ended. @returns missions a second */
export async function runMissions(stack: Stack, missions: readonly LoadedMission[]): Promise<number> {
  const label = randomUUID();
  return ratePerSecond(stack, MISSION_RUN_WORKFLOW_TYPE, label, missions, (mission) =>
    startMissionRun(stack, label, mission),
  );
}

/** @param label begins the ids of runs that belong together */
export function startMissionRun(
  stack: Stack,
  label: string,
  { user, missionId }: LoadedMission,
): Promise<unknown> {
  const run = { userId: user.userId, missionId, agentId: null };
  return stack.client.workflow.start(MISSION_RUN_WORKFLOW_TYPE, {
    workflowId: `${label}:${missionId}`,
    taskQueue: RUNNER_TASK_QUEUE,
    args: [{ userId: run.userId, missionId, trigger: 'run-now' } satisfies MissionRunInput],
    typedSearchAttributes: runSearchAttributes(run, 'run-now'),
    priority: { fairnessKey: fairnessKeyOf(run.userId) },
  });
}

/** The same of bare workflows. */
export async function runFloor(
  stack: Stack,
  workflowType: 'floorRun' | 'emptyRun',
  count: number,
  waitMs: number,
): Promise<number> {
  const label = randomUUID();
  const items = Array.from({ length: count }, (_, index) => index);
  // Its payloads are not encrypted.
  const client = new Client({ connection: stack.client.connection });
  return ratePerSecond(stack, workflowType, label, items, (index) =>
    client.workflow.start(workflowType, {
      ...{ workflowId: `${label}:${index}`, taskQueue: 'floor' },
      args: workflowType === 'floorRun' ? [waitMs] : [],
    }),
  );
}

async function ratePerSecond<T>(
  stack: Stack,
  workflowType: string,
  label: string,
  items: readonly T[],
  start: (item: T) => Promise<unknown>,
): Promise<number> {
  const startedMs = performance.now();
  await eachOf(items, AT_A_TIME, start);
  await untilEnded(stack, workflowType, label, items.length);
  return items.length / ((performance.now() - startedMs) / 1_000);
}

/** Waits until so many of the runs with this label are complete. */
export async function untilEnded(
  { client }: Stack,
  workflowType: string,
  label: string,
  count: number,
): Promise<void> {
  const query = `WorkflowType = '${workflowType}' and WorkflowId STARTS_WITH '${label}' and ExecutionStatus = 'Completed'`;
  const haveEnded = async (): Promise<boolean> => (await client.workflow.count(query)).count >= count;
  await until('all runs have ended', haveEnded, WITHIN_MS);
}

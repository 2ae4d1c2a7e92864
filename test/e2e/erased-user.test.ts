import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import type proto from '@temporalio/proto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTemporaryDirectory } from '#dev/guardian.ts';
import { hang } from '#dev/scripted-gateway.ts';
import { startTemporalServer, type TemporalServer } from '#dev/temporal-server.ts';
import { missionAt } from '#dev/web-app.ts';
import { formatInstant } from '#domain/base/instant.ts';
import { SEARCH_ATTRIBUTE_NAMES } from '#domain/run/search-attributes.ts';
import { missionScheduleId } from '#schedules/schedule-ids.ts';
import { runProjectionPass, runReconcile } from '#schedules/system-workflows.ts';
import { createPayloadCodec } from '#temporal/payload-codec.ts';
import { startRun, writeGrantedMission, type WrittenMission } from '#test/support/granted-mission.ts';
import { query, tablesWith, textsIn } from '#test/support/inspect.ts';
import { startMissionSystem, type MissionSystem } from '#test/support/mission-system.ts';
import { runMissions } from '#test/support/operator-commands.ts';
import { replyOfTwoRounds } from '#test/support/planner-scripts.ts';
import { waitUntil } from '#test/support/wait-until.ts';

const HANGS = 'An objective that the model never answers';

let directory: ReturnType<typeof createTemporaryDirectory>;
let temporal: TemporalServer;
let system: MissionSystem;
beforeAll(async () => {
  directory = createTemporaryDirectory('mana-erased-');
  temporal = await startTemporalServer({
    ...{ ui: false, logFile: join(directory.path, 'temporal.log') },
    searchAttributes: Object.values(SEARCH_ATTRIBUTE_NAMES),
    // Executions that have just ended are deleted when the queues have passed them: they say so every half minute by default.
    dynamicConfig: {
      'history.transferProcessorUpdateAckInterval': '200ms',
      'history.visibilityProcessorUpdateAckInterval': '200ms',
    },
  });
  system = await startMissionSystem({
    temporalAddress: temporal.address,
    secondNamespace: 'closed',
    script: (request) => (request.bodyText.includes(HANGS) ? hang() : replyOfTwoRounds(request)),
  });
});
afterAll(async () => {
  await system.close();
  await temporal.stop();
  directory.remove();
});

const HOUR_MS = 3_600_000;
const superuser = (text: string, values: readonly unknown[] = []) =>
  query(system.databases.superuser.syncUrl, text, values);

async function call(userId: string, method: 'POST' | 'PUT' | 'GET', path: string, payload?: object) {
  const token = await system.issuer.issueToken({ sub: userId });
  const response = await system.api.inject({
    ...{ method, url: `/api/v1/me${path}`, headers: { authorization: `Bearer ${token}` } },
    ...(payload && { payload }),
  });
  return { status: response.statusCode, body: response.json<Record<string, unknown>>() };
}

const runNow = async ({ user, missionId }: WrittenMission): Promise<string> => {
  const { status, body } = await call(user.userId, 'POST', `/missions/${missionId}/run`);
  expect(status).toBe(202);
  return String(body['runId']);
};

const erase = (userId: string) =>
  runMissions(['user', 'erase', userId, '--yes', '--wait-seconds', '1', '--json'], {
    MAINTENANCE_DATABASE_URL: system.databases.urls.maintenance.sync,
    TEMPORAL_ADDRESS: temporal.address,
    TEMPORAL_NAMESPACES: `${system.namespace},${system.namespace}-2:closed`,
  });
const linesOf = ({ stdout }: { readonly stdout: string }) =>
  stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

/** All that Temporal has of anybody: what it lists, also of schedulers, and every history, each payload decoded. */
const everythingInTemporal = async (): Promise<unknown[]> =>
  Promise.all(system.clients.all.map(everythingIn));

async function everythingIn({ workflowService, options }: Client): Promise<unknown[]> {
  const { namespace } = options;
  const codec = createPayloadCodec(system.keys.codecKeys);
  const found: unknown[] = [await workflowService.listSchedules({ namespace, maximumPageSize: 1000 })];
  for (const text of ['', "TemporalNamespaceDivision = 'TemporalScheduler'"]) {
    const { executions } = await workflowService.listWorkflowExecutions({
      namespace,
      query: text,
      pageSize: 1000,
    });
    found.push(executions);
    for (const { execution } of executions) {
      const { history } = await workflowService.getWorkflowExecutionHistory({
        namespace,
        ...(execution && { execution }),
      });
      found.push(history, await codec.decode(payloadsIn(history)));
    }
  }
  return found;
}

/** Those under a codec key of ours, wherever they stand. */
function payloadsIn(value: unknown): proto.temporal.api.common.v1.IPayload[] {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return [];
  if ('data' in value && 'metadata' in value) {
    const { encoding } = value.metadata as Record<string, Uint8Array>;
    return Buffer.from(encoding ?? []).toString() === 'json/plain'
      ? []
      : [value as proto.temporal.api.common.v1.IPayload];
  }
  return Object.values(value).flatMap(payloadsIn);
}

/** Where in both databases and in Temporal one of the texts stands. */
async function placesWith(texts: readonly string[]): Promise<string[]> {
  const { syncUrl, authUrl } = system.databases.superuser;
  const tables = [...(await tablesWith(syncUrl, texts)), ...(await tablesWith(authUrl, texts))];
  const inTemporal = textsIn(await everythingInTemporal(), texts);
  return [
    ...new Set([...tables.map((place) => place.split(':')[0] ?? ''), ...inTemporal.map(() => 'Temporal')]),
  ].sort();
}

/** The platform's own, which it erases itself (docs/operations.md). */
const OF_THE_PLATFORM = [
  'auth.encryption_vault_audit',
  'auth.encryption_vaults',
  'auth.users',
  'public.sync_changes',
];

describe('yarn missions user erase', () => {
  it('leaves nothing in our tables and in Temporal, with a run under way and twice at once, and nothing comes back', async () => {
    const gone = await writeGrantedMission(system, 'Plan the holiday of the one who goes');
    const stays = await writeGrantedMission(system, 'Plan the holiday of the one who stays');
    const { user, missionId } = gone;
    const texts = [user.userId, missionId];
    for (const mission of [gone, stays]) {
      await runProjectionPass(system.client);
      const runId = await runNow(mission);
      await waitUntil('the run has ended', async () => {
        const { body } = await call(
          mission.user.userId,
          'GET',
          `/missions/${mission.missionId}/runs/${runId}`,
        );
        return body['state'] === 'completed';
      });
    }
    // One that nobody took in a namespace of before.
    const workflowOfBefore = { workflowId: `${missionScheduleId(user.userId, missionId)}:before` };
    await startRun(system.clients.all[1] ?? system.client, gone, workflowOfBefore);
    // A run under way: another mission of the user, whose round hangs.
    const hanging = { user, missionId: `${missionId}-hangs` };
    await system.webApp.insert(user, missionAt(hanging.missionId), {
      ...{ title: 'x', objective: HANGS, conceptMarkdown: '', inputs: [], iterations: [], state: 'active' },
      ...{ cadence: { kind: 'interval', everyMinutes: 30 }, nextRunAt: formatInstant(Date.now() + HOUR_MS) },
    });
    await runProjectionPass(system.client);
    await runNow(hanging);
    await waitUntil('the model is asked', () =>
      system.gateway.requests.some(({ bodyText }) => bodyText.includes(HANGS)),
    );
    expect(await placesWith(texts)).toEqual(
      expect.arrayContaining([
        'Temporal',
        'mana_ai.decrypt_audit',
        'mana_ai.mission_grants',
        'mana_ai.run_slots',
      ]),
    );
    const rowsInTheLog = () =>
      superuser('select id from public.sync_changes where user_id = $1', [user.userId]);

    const commands = await Promise.all([erase(user.userId), erase(user.userId)]);
    expect(commands.map(({ code, stderr }) => ({ code, stderr }))).toEqual([
      { code: 0, stderr: '' },
      { code: 0, stderr: '' },
    ]);
    const audited = commands
      .flatMap(linesOf)
      .find((line) => line['event'] === 'audit-erased' && line['lastSeq'] !== '0');
    expect(audited).toMatchObject({ userId: user.userId, rows: 2, lastSeq: '2' });
    expect(await placesWith(texts)).toEqual(OF_THE_PLATFORM);
    // What another user has is as it was.
    const others = await placesWith([stays.user.userId]);
    expect(others).toEqual(expect.arrayContaining(['mana_ai.decrypt_audit', 'mana_ai.token_usage']));
    const logged = await rowsInTheLog();

    // The old log, read from its beginning, and a new row; a Temporal without any schedule, and a full reconcile.
    const newer = await system.webApp.update(user, missionAt(missionId), {
      nextRunAt: formatInstant(Date.now() - 1_000),
    });
    await superuser('truncate mana_ai.projected_changes');
    await superuser(
      `update mana_ai.projection_cursor set read_until = '-infinity', read_back_25_hours_at = '-infinity'`,
    );
    await system.client.schedule.getHandle(missionScheduleId(stays.user.userId, stays.missionId)).delete();
    await waitUntil('the schedule is listed no more', async () => {
      for await (const { scheduleId } of system.client.schedule.list())
        if (scheduleId.startsWith('mission:')) return false;
      return true;
    });
    expect(await runProjectionPass(system.client)).toMatchObject({ started: 0, pending: 0 });
    expect(await runReconcile(system.client, 20_000)).toMatchObject({ missions: 1, created: 1, started: 0 });
    expect(await placesWith(texts)).toEqual(OF_THE_PLATFORM);

    // The user's token is worth nothing; a run that somebody starts all the same ends at once and writes nothing.
    for (const [method, path, payload] of [
      ['POST', `/missions/${missionId}/run`, undefined],
      ['PUT', `/missions/${missionId}/schedule`, { timeZone: 'Europe/Berlin' }],
      ['POST', '/ai-mission-grant', { missionId, tables: ['notes'], recordIds: ['notes:n'] }],
      ['GET', '/ai-audit', undefined],
    ] as const) {
      expect(await call(user.userId, method, path, payload)).toMatchObject({
        status: 401,
        body: { code: 'USER_ERASED' },
      });
    }
    const workflowId = missionScheduleId(user.userId, missionId);
    const late = await startRun(system.client, gone, { workflowId });
    expect(await late.result()).toMatchObject({ outcome: 'deleted' });
    expect(await rowsInTheLog()).toHaveLength(logged.length + 1);
    expect(newer).not.toBe('');

    // Once more it finds that, and nothing else.
    const again = await erase(user.userId);
    expect(linesOf(again).at(-1)).toMatchObject({
      event: 'user-erased',
      tables: {},
      schedules: 0,
      executions: 1,
      namespaces: [system.namespace, `${system.namespace}-2`],
    });
    expect(await placesWith(texts)).toEqual(OF_THE_PLATFORM);

    // A command that was killed before it came to Temporal: nothing but ids in Temporal tells the next one what is left.
    const killed = stays.user.userId;
    await superuser('select mana_ai.enter_erased_user($1)', [killed]);
    await superuser('select mana_ai.erase_user_rows($1)', [killed]);
    expect(await placesWith([killed])).toContain('Temporal');
    expect(linesOf(await erase(killed)).at(-1)).toMatchObject({ tables: {}, schedules: 1 });
    expect(await placesWith([killed])).toEqual(OF_THE_PLATFORM);
  });
});

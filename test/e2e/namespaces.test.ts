import { randomBytes } from 'node:crypto';
import { Client } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { temporalChecks } from '#commands/doctor/temporal.ts';
import { findingsOf } from '#commands/finding.ts';
import { hang } from '#dev/scripted-gateway.ts';
import { missionAt } from '#dev/web-app.ts';
import { formatInstant } from '#domain/base/instant.ts';
import { missionScheduleSpec } from '#domain/cadence/schedule-spec.ts';
import { listAllRuns } from '#runs/all-runs.ts';
import { codecKeysInUse } from '#schedules/codec-keys-in-use.ts';
import { createMissionSchedules } from '#schedules/mission-schedules.ts';
import { dueWorkflowId, missionScheduleId } from '#schedules/schedule-ids.ts';
import { runProjectionPass, runReconcile } from '#schedules/system-workflows.ts';
import { runSearchAttributes } from '#schedules/schedule-request.ts';
import { MISSION_RUN_WORKFLOW_TYPE, RUNNER_TASK_QUEUE, type MissionRunInput } from '#temporal/messages.ts';
import { createNamespaceClients } from '#temporal/namespaces.ts';
import { assertUsable } from '#temporal/setup.ts';
import {
  startRun,
  writeGrantedMission,
  writePlaintextMission,
  type WrittenMission,
} from '#test/support/granted-mission.ts';
import { startMissionSystem, type MissionSystem } from '#test/support/mission-system.ts';
import { query } from '#test/support/inspect.ts';
import { runMissions } from '#test/support/operator-commands.ts';
import { replyOfTwoRounds } from '#test/support/planner-scripts.ts';
import { waitUntil } from '#test/support/wait-until.ts';

const HANGS = 'An objective that the model never answers';
const WITHIN_MS = 20_000;
const HOUR_MS = 3_600_000;

let system: MissionSystem;
let [home, second]: readonly Client[] = [];
beforeAll(async () => {
  system = await startMissionSystem({
    secondNamespace: 'open',
    script: (request) => (request.bodyText.includes(HANGS) ? hang() : replyOfTwoRounds(request)),
  });
  [home, second] = system.clients.all;
});
afterAll(() => system.close());

const nameOf = (client: Client | undefined): string => client?.options.namespace ?? '';

/** A mission of a user of the namespace; others are not looked at any more. */
async function missionIn(
  client: Client | undefined,
  write: () => Promise<WrittenMission>,
): Promise<WrittenMission> {
  for (;;) {
    const mission = await write();
    if (system.clients.ofUser(mission.user.userId) === client) return mission;
  }
}

const isThere = (client: Client | undefined, { user, missionId }: WrittenMission): Promise<unknown> =>
  Promise.resolve(client?.schedule.getHandle(missionScheduleId(user.userId, missionId)).describe()).catch(
    () => null,
  );
/** Where the mission's schedule lies. */
async function liesIn(mission: WrittenMission): Promise<string[]> {
  const found = await Promise.all(
    system.clients.all.map(async (client) => ((await isThere(client, mission)) === null ? [] : [client])),
  );
  return found.flat().map(nameOf);
}

async function call(userId: string, method: 'POST' | 'GET', path: string) {
  const token = await system.issuer.issueToken({ sub: userId });
  const response = await system.api.inject({
    ...{ method, url: `/api/v1/me${path}`, headers: { authorization: `Bearer ${token}` } },
  });
  return { status: response.statusCode, body: response.json<Record<string, unknown>>() };
}

async function iterationsOf({ user, missionId }: WrittenMission): Promise<unknown[]> {
  const record = await system.webApp.read(user, missionAt(missionId));
  return record?.record['iterations'] as unknown[];
}

/** Makes the mission's schedule in the first namespace, as a process did that knew no other. */
async function scheduleAsBefore({ user, missionId }: WrittenMission): Promise<void> {
  const spec = missionScheduleSpec({
    ...{
      cadence: { kind: 'interval', everyMinutes: 30 },
      timeZone: 'UTC',
      nextRunAtMs: Date.now() + HOUR_MS,
    },
  });
  if (spec === null) throw new Error('no spec');
  const schedules = createMissionSchedules({ client: system.client, taskQueue: RUNNER_TASK_QUEUE });
  await schedules.ensure({ userId: user.userId, missionId, agentId: null, spec });
}

/** It lies where it lay before there was a second namespace. */
async function putBack(mission: WrittenMission): Promise<void> {
  await scheduleAsBefore(mission);
  const scheduleId = missionScheduleId(mission.user.userId, mission.missionId);
  await second?.schedule.getHandle(scheduleId).delete();
}

const visibleIn = (clients: readonly (Client | undefined)[], mission: WrittenMission): Promise<true> =>
  waitUntil('visibility knows where its schedule lies', async () => {
    const names: string[] = [];
    const schedules = createMissionSchedules({ client: system.clients, taskQueue: RUNNER_TASK_QUEUE });
    for await (const { namespace, missionId } of schedules.list())
      if (missionId === mission.missionId) names.push(namespace);
    return names.join() === clients.map(nameOf).join();
  });

/** Ids of the mission's runs in a namespace, as visibility shows them a moment late. */
const runsIn = async (client: Client | undefined, { missionId }: WrittenMission): Promise<string[]> =>
  client === undefined
    ? []
    : (await listAllRuns(client, { ...OF_ALL, missionId }, 10)).map(({ runId }) => runId);
const OF_ALL = { userId: null, missionId: null, outcome: null, isOpen: false };

describe('users of two namespaces', () => {
  it('have their schedules and runs in their own, and the API finds them there', async () => {
    for (const client of [home, second]) {
      const mission = await missionIn(client, () => writeGrantedMission(system, 'Plan the holiday'));
      const { user, missionId } = mission;
      await runProjectionPass(system.client);
      expect(await liesIn(mission)).toEqual([nameOf(client)]);

      const started = await call(user.userId, 'POST', `/missions/${missionId}/run`);
      expect(started.status).toBe(202);
      const runId = String(started.body['runId']);
      await waitUntil('the run has ended', async () => {
        const { body } = await call(user.userId, 'GET', `/missions/${missionId}/runs/${runId}`);
        return body['state'] === 'completed' && body['outcome'] === 'planned';
      });
      await waitUntil('visibility shows it', async () => (await runsIn(client, mission)).includes(runId));
      expect(await iterationsOf(mission)).toHaveLength(1);
    }
  });
});

describe('a user that belongs to another namespace than before', () => {
  const write = (objective = 'Plan the holiday') =>
    missionIn(second, () => writePlaintextMission(system.webApp, objective));

  it('has schedules moved by a reconcile, a paused one with its pause, and a double removed', async () => {
    const [plain, paused, doubled, done] = [await write(), await write(), await write(), await write()];
    await system.webApp.update(done.user, missionAt(done.missionId), { state: 'done' });
    await runProjectionPass(system.client);
    await scheduleAsBefore(done);
    await visibleIn([home], done);
    const handle = missionScheduleId(paused.user.userId, paused.missionId);
    for (const mission of [plain, paused]) await putBack(mission);
    await home?.schedule.getHandle(handle).pause('who knows why');
    await scheduleAsBefore(doubled);
    for (const mission of [plain, paused]) await visibleIn([home], mission);
    await visibleIn([home, second], doubled);

    expect(await runReconcile(system.client, WITHIN_MS)).toMatchObject({
      ...{ moved: 2, created: 0, updated: 0, removed: 2, started: 0, failed: 0 },
    });
    expect(await liesIn(done)).toEqual([]);
    for (const mission of [plain, paused, doubled]) expect(await liesIn(mission)).toEqual([nameOf(second)]);
    const moved = await second?.schedule.getHandle(handle).describe();
    expect(moved?.state).toMatchObject({ paused: true, note: 'who knows why' });
  });

  it('has a paused one moved with its pause also where the projection knows of none', async () => {
    const mission = await write();
    const { user, missionId } = mission;
    await runProjectionPass(system.client);
    await putBack(mission);
    const handle = missionScheduleId(user.userId, missionId);
    await home?.schedule.getHandle(handle).pause('who knows why');
    // As after a restore of the database, or a projection that begins anew.
    await query(
      system.databases.superuser.syncUrl,
      `update mana_ai.mission_snapshots set applied_schedule = null, applied_version = 0 where mission_id = '${missionId}'`,
    );
    await runProjectionPass(system.client);
    expect(await liesIn(mission)).toEqual([nameOf(second)]);
    const moved = await second?.schedule.getHandle(handle).describe();
    expect(moved?.state).toMatchObject({ paused: true, note: 'who knows why' });
  });

  it('loses no instant that passes as its schedule is moved, and runs it once', async () => {
    const mission = await write();
    const { user, missionId } = mission;
    await runProjectionPass(system.client);
    await putBack(mission);
    const instantMs = Date.now() - 2_000;
    await system.webApp.update(user, missionAt(missionId), { nextRunAt: formatInstant(instantMs) });
    await runProjectionPass(system.client);
    const run = second?.workflow.getHandle(dueWorkflowId(user.userId, missionId, instantMs));
    // Whoever else looked before that one was done has started it again, and that one has nothing to do.
    const outcome = expect.stringMatching(/^(planned|not-due)$/) as string;
    expect(await run?.result()).toMatchObject({ outcome });
    expect(await liesIn(mission)).toEqual([nameOf(second)]);
    expect(await iterationsOf(mission)).toMatchObject([{ overallStatus: 'awaiting-review' }]);
    expect(await runsIn(home, mission)).toEqual([]);
  });

  it.each(['old', 'new'])(
    'has a run in the %s one: the other starts none, and it is shown and cancelled',
    async (which) => {
      if (home === undefined || second === undefined) throw new Error('no namespace');
      const [its, other] = which === 'old' ? [home, second] : [second, home];
      const objective = `${HANGS}, ${which}`;
      const mission = await write(objective);
      const { user, missionId } = mission;
      await runProjectionPass(system.client);
      const workflowId = missionScheduleId(user.userId, missionId);
      const attributes = runSearchAttributes({ userId: user.userId, missionId, agentId: null }, 'run-now');
      const open = await its.workflow.start(MISSION_RUN_WORKFLOW_TYPE, {
        ...{ workflowId, taskQueue: RUNNER_TASK_QUEUE, typedSearchAttributes: attributes },
        args: [{ userId: user.userId, missionId, trigger: 'run-now' } satisfies MissionRunInput],
      });
      await waitUntil('the model is asked', () =>
        system.gateway.requests.some(({ bodyText }) => bodyText.includes(objective)),
      );
      const passed = formatInstant(Date.now() - 2_000);
      await system.webApp.update(user, missionAt(missionId), { nextRunAt: passed });
      expect(await runProjectionPass(system.client)).toMatchObject({ started: 0 });
      expect(await call(user.userId, 'POST', `/missions/${missionId}/run`)).toMatchObject({ status: 409 });
      const again = await startRun(other, mission);
      expect(await again.result()).toMatchObject({ outcome: 'already-running' });

      await waitUntil(
        'an operator sees it',
        async () => (await listAllRuns(system.clients, { ...OF_ALL, missionId }, 10)).length === 1,
      );
      const runs = `/missions/${missionId}/runs`;
      const { body } = await call(user.userId, 'GET', runs);
      expect(body).toMatchObject({ runs: [{ runId: open.firstExecutionRunId, state: 'running' }] });
      expect(await call(user.userId, 'GET', `${runs}/${open.firstExecutionRunId}`)).toMatchObject({
        ...{ status: 200, body: { live: { phase: 'calling-llm', round: 1 } } },
      });
      await call(user.userId, 'POST', `${runs}/${open.firstExecutionRunId}/cancel`);
      expect(await open.result()).toMatchObject({ outcome: 'cancelled' });
    },
  );

  it('has the runs of both in one list, page by page', async () => {
    const mission = await write();
    const { user, missionId } = mission;
    await runProjectionPass(system.client);
    const started: string[] = [];
    for (const client of [home, home, second]) {
      const at = { userId: user.userId, missionId, agentId: null };
      const handle = await client?.workflow.start(MISSION_RUN_WORKFLOW_TYPE, {
        workflowId: `${missionScheduleId(user.userId, missionId)}:${started.length}`,
        ...{ taskQueue: RUNNER_TASK_QUEUE, typedSearchAttributes: runSearchAttributes(at, 'schedule') },
        args: [{ userId: user.userId, missionId, trigger: 'schedule' } satisfies MissionRunInput],
      });
      expect(await handle?.result()).toMatchObject({ outcome: 'not-due' });
      started.unshift(handle?.firstExecutionRunId ?? '');
    }
    await waitUntil(
      'visibility shows all',
      async () => (await runsIn(home, mission)).length + (await runsIn(second, mission)).length === 3,
    );
    for (const limit of [1, 2, 3, 10]) {
      const listed: string[] = [];
      let cursor: unknown = null;
      do {
        const query = new URLSearchParams({ limit: String(limit) });
        if (typeof cursor === 'string') query.set('cursor', cursor);
        const { body } = await call(user.userId, 'GET', `/missions/${missionId}/runs?${query.toString()}`);
        const page = body['runs'] as { readonly runId: string }[];
        expect(page.length).toBeLessThanOrEqual(limit);
        listed.push(...page.map(({ runId }) => runId));
        cursor = body['nextCursor'];
      } while (cursor !== null);
      expect(listed).toEqual(started);
    }
  });
});

describe('an operator', () => {
  it('is told by the doctor of each namespace, and what is left in one that is closed', async () => {
    const temporal = {
      address: inject('temporalAddress'),
      namespace: nameOf(home),
      namespaces: [
        { name: nameOf(home), isOpen: true },
        { name: nameOf(second), isOpen: false },
      ],
    };
    const { checks, close } = temporalChecks({ temporal, codecKeys: system.keys.codecKeys });
    const found = (await Promise.all(checks.map((check) => findingsOf(check, [])))).flat();
    await close();
    const of = (name: string) => found.filter(({ check }) => check.startsWith(name));
    const queues = (client: Client | undefined, names: readonly string[]) =>
      names.map((name) => ({ check: `task queues (${nameOf(client)}): ${name}`, status: 'ok' }));
    expect(of('task queues')).toMatchObject([
      ...queues(home, ['missions', 'missions-vault', 'missions-projection']),
      ...queues(second, ['missions', 'missions-vault']),
    ]);
    expect(of('search attributes')).toMatchObject([{ status: 'ok' }, { status: 'ok' }]);
    expect(of('codec keys')).toMatchObject([{ status: 'ok' }, { status: 'ok' }]);
    expect(of('system schedules')).toHaveLength(2);
    expect(of('closed')).toMatchObject([
      {
        check: `closed (${nameOf(second)})`,
        status: 'warning',
        found: expect.stringMatching(/^[1-9]\d* schedules and 0 open runs/) as string,
      },
    ]);
  });

  it('rotates the codec keys of all', async () => {
    const { keys } = system.keys.codecKeys;
    const before = `test-1:${keys.get('test-1')?.toString('base64') ?? ''}`;
    const { stdout } = await runMissions(['keys', 'rotate', 'codec', '--json'], {
      TEMPORAL_ADDRESS: inject('temporalAddress'),
      TEMPORAL_NAMESPACES: [home, second].map(nameOf).join(','),
      TEMPORAL_CODEC_KEYS: `next:${randomBytes(32).toString('base64')},${before}`,
    });
    const steps = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { readonly found: string });
    const counts = await Promise.all(system.clients.all.map((client) => codecKeysInUse(client, 1_000)));
    const schedules = counts.flat().reduce((sum, each) => sum + each.schedules, 0);
    expect(counts.every((ofOne) => ofOne.length > 0)).toBe(true);
    expect(steps[2]?.found).toBe(`${schedules} schedules are under another key than next`);
  });

  it('has no projection that would move schedules into a namespace that does not take them', async () => {
    const nowhere = `nowhere-${nameOf(home)}`;
    const clients = createNamespaceClients(
      {
        namespace: nameOf(home),
        namespaces: [nameOf(home), nowhere].map((name) => ({ name, isOpen: true })),
      },
      (name) => new Client({ connection: system.client.connection, namespace: name }),
    );
    const silent: string[] = [];
    const onNoAnswer = (name: string) => silent.push(name);
    await expect(assertUsable(clients, onNoAnswer)).rejects.toThrow(
      `namespace ${nowhere} or its search attributes are missing: bin/yarn missions setup`,
    );
    await expect(assertUsable(system.clients, onNoAnswer)).resolves.toBeUndefined();
    expect(silent).toEqual([]);
  });
});

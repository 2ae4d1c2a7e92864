import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  gate,
  hang,
  replyWithText,
  type Gate,
  type RecordedRequest,
  type ScriptedResponse,
} from '#dev/scripted-gateway.ts';
import { agentAt, missionAt } from '#dev/web-app.ts';
import { formatInstant } from '#domain/base/instant.ts';
import type { MissionRunResult } from '#domain/run/run.ts';
import { createMissionSchedules } from '#schedules/mission-schedules.ts';
import { dueWorkflowId } from '#schedules/schedule-ids.ts';
import { cancelRunSignal, RUNNER_TASK_QUEUE, runProgressQuery } from '#temporal/messages.ts';
import { objectionsTo, openDevice, waitUntilForgotten, type Device } from '#test/support/device.ts';
import {
  startRun,
  writeGrantedMission,
  writePlaintextMissionOf,
  type WrittenMission,
} from '#test/support/granted-mission.ts';
import { countRows } from '#test/support/inspect.ts';
import { startMissionSystem, type MissionSystem } from '#test/support/mission-system.ts';
import { replyOfTwoRounds } from '#test/support/planner-scripts.ts';
import { readPaidRounds } from '#test/support/stored-rows.ts';
import { waitUntil } from '#test/support/wait-until.ts';

let system: MissionSystem;
let device: Device;
/** What the gateway does with the next requests that hold a text; then it plans. */
const answers = new Map<string, (request: RecordedRequest) => ScriptedResponse | Promise<ScriptedResponse>>();
beforeAll(async () => {
  system = await startMissionSystem({
    script: (request) => {
      const mine = [...answers].find(([text]) => request.bodyText.includes(text));
      return (mine?.[1] ?? replyOfTwoRounds)(request);
    },
  });
  device = openDevice(system.webApp, system.databases);
});
afterAll(() => system.close());

const MINUTE_MS = 60_000;
const newObjective = (): string => `objective-${randomUUID()}`;
const requestsWith = (text: string): RecordedRequest[] =>
  system.gateway.requests.filter(({ bodyText }) => bodyText.includes(text));
/** A run under way for `instantMs`, started by whoever. */
const dueRun = ({ user, missionId }: WrittenMission, instantMs: number) =>
  system.client.workflow.getHandle<() => Promise<MissionRunResult>>(
    dueWorkflowId(user.userId, missionId, instantMs),
  );
const setDue = async ({ user, missionId }: WrittenMission): Promise<number> => {
  const instantMs = Date.now() - 1_000;
  await system.webApp.update(user, missionAt(missionId), { nextRunAt: formatInstant(instantMs) });
  return instantMs;
};

const CANCELLED = { overallStatus: 'failed', plan: [], errorDetails: { name: 'run-cancelled' } };

describe('a cancelled run', () => {
  it('ends its iteration as cancelled, moves on to the next instant, hangs up and forgets', async () => {
    const objective = newObjective();
    answers.set(objective, hang);
    const told = await writeGrantedMission(system, objective);
    const instantMs = await setDue(told);
    await system.gateway.waitForHanging(1);
    const handle = dueRun(told, instantMs);
    expect(await handle.query(runProgressQuery)).toEqual({ phase: 'calling-llm', round: 1, totalTokens: 0 });
    await handle.signal(cancelRunSignal);
    expect(await handle.result()).toMatchObject({ outcome: 'cancelled', steps: 0, failureCode: null });
    await system.gateway.waitForHanging(0);
    await waitUntilForgotten(system.databases, told.missionId);
    expect(await device.iterations(told)).toMatchObject([CANCELLED]);
    const rows = await device.endRows(told);
    expect(rows).toMatchObject([{ op: 'update', origin: 'agent', actor: { kind: 'ai' } }]);
    const earlier = (await system.webApp.rows(told.user, missionAt(told.missionId))).filter(
      (row) => row.createdAt < (rows[0]?.createdAt ?? ''),
    );
    expect(rows.flatMap((row) => objectionsTo(row, earlier, told.missionId))).toEqual([]);
    const nextMs = Date.parse(String((await device.mission(told))['nextRunAt']));
    expect(nextMs).toBe(instantMs + 30 * MINUTE_MS);
    expect(requestsWith(objective)).toHaveLength(1);
  });
});

describe('a run whose user sets cancelRequested on a device', () => {
  it('is cancelled', async () => {
    const objective = newObjective();
    answers.set(objective, hang);
    const told = await writeGrantedMission(system, objective);
    const instantMs = await setDue(told);
    await system.gateway.waitForHanging(1);
    await system.webApp.update(told.user, missionAt(told.missionId), { cancelRequested: true });
    expect(await dueRun(told, instantMs).result()).toMatchObject({ outcome: 'cancelled', steps: 0 });
    await waitUntilForgotten(system.databases, told.missionId);
    expect(await device.iterations(told)).toMatchObject([CANCELLED]);
  });

  it('is cancelled likewise by its running iteration, which the device sees', async () => {
    const objective = newObjective();
    answers.set(objective, hang);
    const told = await writeGrantedMission(system, objective);
    const instantMs = await setDue(told);
    await waitUntil('our run has asked', () => requestsWith(objective).length);
    const [running, ...more] = await device.iterations(told);
    expect(more).toEqual([]);
    expect(running).toMatchObject({ overallStatus: 'running', source: 'server', plan: [] });
    await system.webApp.update(told.user, missionAt(told.missionId), {
      iterations: [{ ...running, cancelRequested: true }],
    });
    expect(await dueRun(told, instantMs).result()).toMatchObject({ outcome: 'cancelled', steps: 0 });
    await waitUntilForgotten(system.databases, told.missionId);
    expect(await device.iterations(told)).toMatchObject([CANCELLED]);
  });
});

describe('an open tab that scans for due missions while our run is under way', () => {
  it('finds nothing due: one iteration, one effect', async () => {
    const objective = newObjective();
    const held: Gate = gate();
    answers.set(objective, (request) => held.hold(replyOfTwoRounds(request)));
    const told = await writeGrantedMission(system, objective);
    const tab = openTab(told);
    const instantMs = await setDue(told);
    await waitUntil('our run has asked', () => requestsWith(objective).length);
    expect(await tab.scan()).toBe(false);
    held.open();
    expect(await dueRun(told, instantMs).result()).toMatchObject({ outcome: 'planned' });
    expect(await tab.scan()).toBe(false);
    const iterations = await device.waitForIterations(told);
    expect(iterations).toMatchObject([{ source: 'server', overallStatus: 'awaiting-review' }]);
  });

  it('that was faster has the instant: our run ends without a call, and there is one iteration', async () => {
    const objective = newObjective();
    answers.set(objective, replyOfTwoRounds);
    const told = await writeGrantedMission(system, objective);
    const instantMs = Date.now() - 1_000;
    // The tab's row is in the log before ours: both come in one.
    await system.webApp.update(told.user, missionAt(told.missionId), {
      nextRunAt: formatInstant(instantMs),
      iterations: [browserIteration(instantMs + 500)],
    });
    const result = await waitUntil('our run', () =>
      dueRun(told, instantMs)
        .result()
        .catch(() => null),
    );
    expect(result).toMatchObject({ outcome: 'ran-elsewhere', rounds: 0 });
    await waitUntilForgotten(system.databases, told.missionId);
    expect(await device.iterations(told)).toMatchObject([{ source: 'browser' }]);
    expect(Date.parse(String((await device.mission(told))['nextRunAt']))).toBeGreaterThan(Date.now());
    expect(requestsWith(objective)).toEqual([]);
  });
});

const browserIteration = (startMs: number) => ({
  ...{ id: randomUUID(), startedAt: formatInstant(startMs), plan: [] },
  ...{ overallStatus: 'running', source: 'browser' },
});

/** What an open tab does every 60 s (docs/platform.md section 2): it takes a due mission, whatever other iterations there are. */
const openTab = (told: WrittenMission) => ({
  scan: async (): Promise<boolean> => {
    const { state, nextRunAt, iterations } = await device.mission(told);
    if (state !== 'active' || Date.parse(String(nextRunAt)) > Date.now()) return false;
    await system.webApp.update(told.user, missionAt(told.missionId), {
      iterations: [
        ...(Array.isArray(iterations) ? (iterations as unknown[]) : []),
        browserIteration(Date.now()),
      ],
    });
    return true;
  },
});

describe('two starts for one due instant', () => {
  it('give one iteration and one set of requests', async () => {
    const objective = newObjective();
    const held: Gate = gate();
    answers.set(objective, (request) => held.hold(replyOfTwoRounds(request)));
    const told = await writeGrantedMission(system, objective);
    const { userId } = told.user;
    const instantMs = await setDue(told);
    const schedules = createMissionSchedules({ client: system.client, taskQueue: RUNNER_TASK_QUEUE });
    const due = {
      userId,
      missionId: told.missionId,
      agentId: null,
      instantMs,
    } as const;
    await schedules.startDue(due);
    expect(await schedules.startDue(due)).toBe('already-started');
    await waitUntil('the first one holds the mission', () => requestsWith(objective).length);
    const second = await startRun(system.client, told, {
      workflowId: `second:${told.missionId}`,
      trigger: 'schedule',
    });
    expect(await second.result()).toMatchObject({ outcome: 'already-running' });
    held.open();
    expect(await dueRun(told, instantMs).result()).toMatchObject({ outcome: 'planned' });
    const late = await startRun(system.client, told, {
      workflowId: `late:${told.missionId}`,
      trigger: 'schedule',
    });
    expect(await late.result()).toMatchObject({ outcome: 'not-due' });
    expect(await device.waitForIterations(told)).toHaveLength(1);
    expect(await device.endRows(told)).toHaveLength(1);
    expect(requestsWith(objective)).toHaveLength(2);
    expect(await readPaidRounds(system.databases, told.missionId)).toEqual([1, 2]);
  });

  it('one of which comes after a device has put the old instant back, still give one iteration', async () => {
    const objective = newObjective();
    const told = await writeGrantedMission(system, objective);
    const instantMs = await setDue(told);
    await device.waitForIterations(told);
    const advanced = (await device.mission(told))['nextRunAt'];
    await waitUntil('the projection knows the next instant', () =>
      countRows(system.databases.superuser.syncUrl, 'mana_ai.mission_snapshots', 'next_run_at = $1', [
        advanced,
      ]),
    );
    const nextRunAt = formatInstant(instantMs);
    await system.webApp.update(told.user, missionAt(told.missionId), { nextRunAt });
    await waitUntil(
      'the instant is moved on again',
      async () => (await device.mission(told))['nextRunAt'] !== nextRunAt,
    );
    await waitUntilForgotten(system.databases, told.missionId);
    expect(await device.iterations(told)).toHaveLength(1);
    expect(requestsWith(objective)).toHaveLength(2);
  });
});

describe('two missions of one agent that are due at once', () => {
  it('both run, one after the other', async () => {
    const user = await system.webApp.createUser();
    const [agentId, objectives] = [randomUUID(), [newObjective(), newObjective()]];
    await system.webApp.insert(user, agentAt(agentId), {
      name: 'A',
      state: 'active',
      maxConcurrentMissions: 1,
    });
    const underWay = new Set<string>();
    let most = 0;
    for (const objective of objectives) {
      answers.set(objective, (request) => {
        underWay.add(objective);
        most = Math.max(most, underWay.size);
        const answer = replyOfTwoRounds(request);
        if (JSON.stringify(answer) === JSON.stringify(replyWithText('One task is planned.')))
          underWay.delete(objective);
        return answer;
      });
    }
    const nextRunAt = formatInstant(Date.now() - 1_000);
    const missionIds = await Promise.all(
      objectives.map((objective) =>
        writePlaintextMissionOf(system.webApp, user, objective, { agentId, nextRunAt }),
      ),
    );
    const iterations = await Promise.all(
      missionIds.map((missionId) => device.waitForIterations({ user, missionId })),
    );
    expect(iterations).toMatchObject([
      [{ overallStatus: 'awaiting-review' }],
      [{ overallStatus: 'awaiting-review' }],
    ]);
    expect(most).toBe(1);
    const [first, second] = iterations
      .map(([iteration]) => iteration ?? {})
      .sort((a, b) => String(a['finishedAt']).localeCompare(String(b['finishedAt'])));
    expect(String(first?.['finishedAt']) < String(second?.['finishedAt'])).toBe(true);
  });
});

describe('a device that re-sends its iterations without having pulled', () => {
  const own = (id: string) => ({ id, plan: [], source: 'browser', overallStatus: 'approved' });

  it('loses us nothing: ours is put back once, beside its own, and then the writes end', async () => {
    const told = await writeGrantedMission(system, newObjective(), { iterations: [own('d1')] });
    await setDue(told);
    const [, ours] = await device.waitForIterations(told, 2);
    const stale = [own('d1'), own('d2')];
    await system.webApp.update(told.user, missionAt(told.missionId), { iterations: stale });
    await waitUntil('ours is back', async () => (await device.iterations(told)).length === 3);
    const healed = await device.iterations(told);
    expect(healed.map((iteration) => iteration['id']).sort()).toEqual(['d1', 'd2', ours?.['id']].sort());
    expect(healed).toContainEqual(ours);
    const rows = await device.endRows(told);
    expect(rows).toMatchObject([{ origin: 'agent' }, { origin: 'system', actor: { kind: 'system' } }]);
    const all = await system.webApp.rows(told.user, missionAt(told.missionId));
    const last = rows.at(-1);
    expect(
      last &&
        objectionsTo(
          last,
          all.filter((row) => row.createdAt < last.createdAt),
          told.missionId,
        ),
    ).toEqual([]);

    // Whatever else the user does: each further row is projected, and none of them makes us write again.
    await system.webApp.update(told.user, missionAt(told.missionId), {
      title: 'another',
      iterations: healed,
    });
    const probe = await writeGrantedMission(system, newObjective());
    await setDue(probe);
    await device.waitForIterations(probe);
    expect(await device.endRows(told)).toHaveLength(2);
  });

  it('does so twice and is healed twice, with one write for each of its rows', async () => {
    const told = await writeGrantedMission(system, newObjective());
    await setDue(told);
    const [ours] = await device.waitForIterations(told);
    for (const writes of [2, 3]) {
      await system.webApp.update(told.user, missionAt(told.missionId), { iterations: [own(`d${writes}`)] });
      await waitUntil('ours is back', async () => (await device.endRows(told)).length === writes);
      const ids = (await device.iterations(told)).map((iteration) => iteration['id']);
      expect(ids.sort()).toEqual([`d${writes}`, ours?.['id']].sort());
    }
  });
});

import { randomUUID } from 'node:crypto';
import type { ScheduleDescription, ScheduleOverlapPolicy } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { gate, type RecordedRequest, type ScriptedResponse } from '#dev/scripted-gateway.ts';
import { agentAt, missionAt, type WebAppUser } from '#dev/web-app.ts';
import { formatInstant } from '#domain/base/instant.ts';
import type { MissionRunResult } from '#domain/run/run.ts';
import { missionScheduleId } from '#schedules/schedule-ids.ts';
import { surroundingsOf } from '#test/faults/surroundings.ts';
import { openDevice, waitUntilForgotten, type Device } from '#test/support/device.ts';
import {
  startRun,
  writePlaintextMission,
  writePlaintextMissionOf,
  type WrittenMission,
} from '#test/support/granted-mission.ts';
import { query } from '#test/support/inspect.ts';
import { startMissionSystem, type MissionSystem } from '#test/support/mission-system.ts';
import { replyOfTwoRounds } from '#test/support/planner-scripts.ts';
import { countLeftovers, NOTHING_LEFT } from '#test/support/stored-rows.ts';
import { seeingStalls } from '#test/support/machine-stalls.ts';
import { waitUntil } from '#test/support/wait-until.ts';
import { startSystemProcess } from '#test/support/worker-process.ts';

type Answer = (request: RecordedRequest) => ScriptedResponse | Promise<ScriptedResponse>;
/** What the gateway does with requests that hold a text; it plans for all others. */
const answers = new Map<string, Answer>();
const script: Answer = (request) =>
  ([...answers].find(([text]) => request.bodyText.includes(text))?.[1] ?? replyOfTwoRounds)(request);

let system: MissionSystem;
let device: Device;
beforeAll(async () => {
  system = await startMissionSystem({ script });
  device = openDevice(system.webApp, system.databases);
});
afterAll(() => system.close());

const MINUTE_MS = 60_000;
const newObjective = (): string => `objective-${randomUUID()}`;
const inMs = (ms: number): string => formatInstant(Date.now() + ms);
type Fields = Readonly<Record<string, unknown>>;

const update = ({ user, missionId }: WrittenMission, fields: Fields): Promise<string> =>
  system.webApp.update(user, missionAt(missionId), fields);
const scheduleOf = (of: WrittenMission, { client } = system) =>
  client.schedule.getHandle(missionScheduleId(of.user.userId, of.missionId));
const untilScheduled = (of: WrittenMission, of2 = system) =>
  waitUntil('the schedule is there', () => scheduleOf(of, of2).describe());
const untilUnscheduled = (of: WrittenMission) =>
  waitUntil('the schedule is gone', async () => {
    const described = await scheduleOf(of)
      .describe()
      .catch(() => null);
    return described === null;
  });
const requestsWith = (text: string, { gateway } = system): number =>
  gateway.requests.filter(({ bodyText }) => bodyText.includes(text)).length;

/** Lets the schedule fire now, as its time would, and gives what became of the run. */
async function fireNow(of: WrittenMission): Promise<MissionRunResult> {
  const schedule = scheduleOf(of);
  const { recentActions: before } = (await untilScheduled(of)).info;
  await schedule.trigger();
  const action = await waitUntil('the schedule has fired', async () => {
    const { recentActions } = (await schedule.describe()).info;
    return recentActions.length > before.length && recentActions.at(-1);
  });
  const { workflowId } = action.action.workflow;
  return system.client.workflow.getHandle<() => Promise<MissionRunResult>>(workflowId).result();
}

type Schedule = ReturnType<typeof scheduleOf>;

/**
 * Fires again and again: of two fires within a second the server loses one.
 *
 * @param overlap the schedule's own policy, or past it
 */
const fireUntil = (
  schedule: Schedule,
  overlap: ScheduleOverlapPolicy,
  what: string,
  holds: (info: ScheduleDescription['info']) => boolean,
) =>
  waitUntil(
    what,
    async () => {
      await schedule.trigger(overlap);
      return holds((await schedule.describe()).info);
    },
    { everyMs: 1_100 },
  );

const startMsOf = (iteration: Fields | undefined): number => Date.parse(String(iteration?.['startedAt']));

describe.concurrent('a mission', () => {
  it('that its user snoozed runs once: not at the old instant, and not before the new one', async () => {
    const told = await writePlaintextMission(system.webApp, newObjective(), { nextRunAt: inMs(2_500) });
    await untilScheduled(told);
    const snoozed = inMs(4_123);
    await update(told, { nextRunAt: snoozed });
    const { result: iterations, stalledMs } = await seeingStalls(() => device.waitForIterations(told));
    expect(iterations).toHaveLength(1);
    const lateMs = startMsOf(iterations[0]) - Date.parse(snoozed);
    expect(lateMs).toBeGreaterThanOrEqual(0);
    expect(lateMs - stalledMs).toBeLessThan(5_000);
    expect((await device.mission(told))['nextRunAt']).toBe(
      formatInstant(Date.parse(snoozed) + 30 * MINUTE_MS),
    );
  });

  it('whose nextRunAt a browser moved on, because it ran it, makes our fire a no-op', async () => {
    const objective = newObjective();
    const told = await writePlaintextMission(system.webApp, objective);
    const { nextRunAt } = await device.mission(told);
    expect(await fireNow(told)).toMatchObject({ outcome: 'not-due', rounds: 0 });
    expect(await device.endRows(told)).toEqual([]);
    expect((await device.mission(told))['nextRunAt']).toBe(nextRunAt);
    expect(requestsWith(objective)).toBe(0);
    expect(await countLeftovers(system.databases, told.missionId)).toEqual(NOTHING_LEFT);
  });

  it('whose nextRunAt passed many fires ago, at first sight, runs once and at once, then on its grid', async () => {
    const passedMs = Date.now() - 317 * MINUTE_MS;
    const nextRunAt = formatInstant(passedMs);
    const told = await writePlaintextMission(system.webApp, newObjective(), { nextRunAt });
    expect(await device.waitForIterations(told)).toHaveLength(1);
    const nextMs = Date.parse(String((await device.mission(told))['nextRunAt']));
    expect(nextMs - passedMs).toBe(330 * MINUTE_MS);
    const { info } = await untilScheduled(told);
    expect(info.nextActionTimes[0]?.getTime()).toBe(Math.ceil(nextMs / 1_000) * 1_000);
  });

  it('that is manual runs once at an instant set by hand, which is cleared', async () => {
    const fields = { cadence: { kind: 'manual' }, nextRunAt: inMs(2_000) };
    const told = await writePlaintextMission(system.webApp, newObjective(), fields);
    expect(await device.waitForIterations(told)).toHaveLength(1);
    expect((await device.mission(told))['nextRunAt']).toBeNull();
    await untilUnscheduled(told);
  });

  it('with cron and no nextRunAt runs when its schedule fires, and has one from then on', async () => {
    const fields = { cadence: { kind: 'cron', expression: '0 4 * * *' }, nextRunAt: null };
    const told = await writePlaintextMission(system.webApp, newObjective(), fields);
    expect(await fireNow(told)).toMatchObject({ outcome: 'planned' });
    expect(String((await device.mission(told))['nextRunAt'])).toMatch(/T04:00:00\.000Z$/);
  });

  it('in a zone that the server refuses runs at its instant, and has the next ones in its schedule', async () => {
    const user = await system.webApp.createUser();
    const missionId = randomUUID();
    await query(
      system.databases.superuser.syncUrl,
      `insert into mana_ai.mission_time_zones (user_id, mission_id, time_zone)
       values ('${user.userId}', '${missionId}', 'US/Pacific-New')`,
    );
    await system.webApp.insert(user, missionAt(missionId), {
      ...{ title: 'Zone', objective: newObjective(), state: 'active', inputs: [], iterations: [] },
      ...{ cadence: { kind: 'daily', atHour: 8, atMinute: 0 }, nextRunAt: inMs(3_000) },
    });
    const told = { user, missionId };
    expect(await device.waitForIterations(told)).toHaveLength(1);
    const { info } = await scheduleOf(told).describe();
    const hours = info.nextActionTimes.map((time) =>
      time.toLocaleTimeString('en-GB', { timeZone: 'America/Los_Angeles', hour: '2-digit' }),
    );
    // Spread by up to two minutes.
    expect(hours.length).toBeGreaterThanOrEqual(8);
    expect(new Set(hours)).toEqual(new Set(['08']));
  });

  it('paused, archived, done or deleted does not run at its instant; resumed it does', async () => {
    const nextRunAt = inMs(6_000);
    const user = await system.webApp.createUser();
    const write = async (): Promise<WrittenMission & { readonly objective: string }> => {
      const objective = newObjective();
      return {
        ...{ user, objective },
        missionId: await writePlaintextMissionOf(system.webApp, user, objective, { nextRunAt }),
      };
    };
    const [paused, archived, done, deleted] = [await write(), await write(), await write(), await write()];
    await Promise.all([paused, archived, done, deleted].map((each) => untilScheduled(each)));
    await update(paused, { state: 'paused' });
    await update(archived, { state: 'archived' });
    await update(done, { state: 'done' });
    await update(deleted, { deletedAt: formatInstant(Date.now()) });
    await Promise.all([paused, archived, done, deleted].map(untilUnscheduled));

    // Another mission, due later, has run: theirs has passed.
    const probe = await writePlaintextMission(system.webApp, newObjective(), {
      nextRunAt: formatInstant(Math.max(Date.now(), Date.parse(nextRunAt) + 500)),
    });
    await device.waitForIterations(probe);
    for (const each of [paused, archived, done, deleted]) expect(requestsWith(each.objective)).toBe(0);

    await update(paused, { state: 'active', nextRunAt: inMs(1_000) });
    expect(await device.waitForIterations(paused)).toHaveLength(1);
    expect(await device.iterations(archived)).toEqual([]);
  });

  it('of a paused agent moves on without an iteration, and runs again with the agent', async () => {
    const user: WebAppUser = await system.webApp.createUser();
    const [agentId, objective, oldMs] = [randomUUID(), newObjective(), Date.now() - 1_000];
    await system.webApp.insert(user, agentAt(agentId), { name: 'A', state: 'paused' });
    const fields = { agentId, nextRunAt: formatInstant(oldMs) };
    const told = { user, missionId: await writePlaintextMissionOf(system.webApp, user, objective, fields) };
    const nextRunAt = formatInstant(oldMs + 30 * MINUTE_MS);
    await waitUntil(
      'the instant is moved on',
      async () => (await device.mission(told))['nextRunAt'] === nextRunAt,
    );
    await waitUntilForgotten(system.databases, told.missionId);
    expect(await device.iterations(told)).toEqual([]);
    expect(requestsWith(objective)).toBe(0);

    await system.webApp.update(user, agentAt(agentId), { state: 'active' });
    await update(told, { nextRunAt: inMs(-1_000) });
    expect(await device.waitForIterations(told)).toHaveLength(1);
  });

  it('that fired several times while the workers were down runs once when they are back', async () => {
    const half = await startMissionSystem({ parts: ['projection'], script: replyOfTwoRounds });
    const processes: Awaited<ReturnType<typeof startSystemProcess>>[] = [];
    try {
      const nextRunAt = inMs(2_000);
      const told = await writePlaintextMission(half.webApp, newObjective(), { nextRunAt });
      const schedule = scheduleOf(told, half);
      await waitUntil(
        'the schedule has fired',
        async () => (await untilScheduled(told, half)).info.recentActions.length > 0,
      );
      const { overlap } = (await schedule.describe()).policies;
      await fireUntil(
        schedule,
        overlap,
        'a fire was skipped',
        ({ numActionsSkippedOverlap }) => numActionsSkippedOverlap > 0,
      );
      await fireUntil(
        schedule,
        'ALLOW_ALL',
        'somebody else started another run',
        ({ numActionsTaken }) => numActionsTaken > 1,
      );
      processes.push(await startSystemProcess('runner', await surroundingsOf(half)));
      const there = openDevice(half.webApp, half.databases);
      expect(await there.waitForIterations(told)).toHaveLength(1);
      expect(await there.endRows(told)).toHaveLength(1);
      expect((await there.mission(told))['nextRunAt']).toBe(
        formatInstant(Date.parse(nextRunAt) + 30 * MINUTE_MS),
      );
    } finally {
      await Promise.all(processes.map((running) => running.stop()));
      await half.close();
    }
  });
});

describe('a downtime of gateway and database', () => {
  it('across several fires leads to one run, which repeats at most the round in flight', async () => {
    const objective = newObjective();
    const held = gate();
    answers.set(objective, (request) => held.hold(replyOfTwoRounds(request)));
    const told = await writePlaintextMission(system.webApp, objective, { nextRunAt: inMs(-1_000) });
    await waitUntil('the run waits for the gateway', () => requestsWith(objective));
    const schedule = scheduleOf(told);
    await untilScheduled(told);
    await fireUntil(
      schedule,
      'ALLOW_ALL',
      'the fires found the mission busy',
      ({ numActionsTaken }) => numActionsTaken >= 2,
    );
    await query(
      system.databases.superuser.syncUrl,
      `select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and usename <> current_user and backend_type = 'client backend'`,
      [],
    );
    held.open();
    expect(await device.waitForIterations(told)).toHaveLength(1);
    expect(await device.endRows(told)).toHaveLength(1);
    // Two rounds, the one in flight perhaps asked again.
    const keys = system.gateway.requests
      .filter(({ bodyText }) => bodyText.includes(objective))
      .map(({ idempotencyKey }) => idempotencyKey);
    expect(new Set(keys).size).toBe(2);
    expect(keys.length).toBeLessThanOrEqual(3);
  });
});

describe('a run that an operator reset', () => {
  it('gives its slot to the new one, which writes the one iteration and leaves nothing', async () => {
    const objective = newObjective();
    const held = gate();
    answers.set(objective, (request) => held.hold(replyOfTwoRounds(request)));
    const user = await system.webApp.createUser();
    const agentId = randomUUID();
    await system.webApp.insert(user, agentAt(agentId), { name: 'A', state: 'active' });
    const missionId = await writePlaintextMissionOf(system.webApp, user, objective, { agentId });
    const told = { user, missionId };
    const run = await startRun(system.client, told);
    await waitUntil('the run holds mission and agent', () => requestsWith(objective));
    const { events } = await run.fetchHistory();
    const completed = events?.find((event) => (event.workflowTaskCompletedEventAttributes ?? null) !== null);
    await system.client.workflowService.resetWorkflowExecution({
      ...{ namespace: system.namespace, requestId: randomUUID(), reason: 'test' },
      workflowExecution: { workflowId: run.workflowId, runId: run.firstExecutionRunId },
      workflowTaskFinishEventId: completed?.eventId ?? null,
    });
    held.open();
    const again = system.client.workflow.getHandle<() => Promise<MissionRunResult>>(run.workflowId);
    expect(await again.result()).toMatchObject({ outcome: 'planned' });
    expect(await device.waitForIterations(told)).toHaveLength(1);
    expect(await countLeftovers(system.databases, missionId)).toEqual(NOTHING_LEFT);

    const other = newObjective();
    const next = { user, missionId: await writePlaintextMissionOf(system.webApp, user, other, { agentId }) };
    expect(await (await startRun(system.client, next)).result()).toMatchObject({ outcome: 'planned' });
  });
});

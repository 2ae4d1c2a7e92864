import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { gate, type Gate, type RecordedRequest, type ScriptedResponse } from '#dev/scripted-gateway.ts';
import { missionAt, type WebAppUser } from '#dev/web-app.ts';
import { formatInstant } from '#domain/base/instant.ts';
import type { MissionRunResult } from '#domain/run/run.ts';
import { createMissionSchedules } from '#schedules/mission-schedules.ts';
import { RUNNER_TASK_QUEUE } from '#temporal/messages.ts';
import { openDevice, waitUntilForgotten, type Device } from '#test/support/device.ts';
import { writePlaintextMission, type WrittenMission } from '#test/support/granted-mission.ts';
import { query } from '#test/support/inspect.ts';
import { startMissionSystem, type MissionSystem } from '#test/support/mission-system.ts';
import { replyOfTwoRounds } from '#test/support/planner-scripts.ts';
import { waitUntil } from '#test/support/wait-until.ts';

let system: MissionSystem;
let device: Device;
/** What the gateway does with the requests that hold a text; with all others it plans. */
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

type Fields = Readonly<Record<string, unknown>>;

interface SharedMission extends WrittenMission {
  readonly objective: string;
  readonly member: WebAppUser;
  readonly spaceId: string;
}

const at = (ms: number): string => formatInstant(Date.now() + ms);
const requestsWith = (text: string): number =>
  system.gateway.requests.filter(({ bodyText }) => bodyText.includes(text)).length;

/** A mission whose owner has put it into a space, with another member. */
async function writeSharedMission(fields: Fields = {}): Promise<SharedMission> {
  const objective = `objective-${randomUUID()}`;
  const spaceId = `space-${randomUUID()}`;
  const written = await writePlaintextMission(system.webApp, objective, fields);
  const told = { ...written, objective, spaceId, member: await system.webApp.createUser() };
  await write(told, told.user, { title: 'Gemeinsam' });
  return told;
}

const write = ({ missionId, spaceId }: SharedMission, user: WebAppUser, data: Fields): Promise<string> =>
  system.webApp.insertRow(user.userId, {
    ...{ ...missionAt(missionId), op: 'update', data, spaceId },
    fieldMeta: Object.fromEntries(Object.keys(data).map((field) => [field, at(0)])),
  });

const stateOf = async ({ user, missionId }: SharedMission): Promise<unknown> => {
  const [row] = await query(
    system.databases.superuser.syncUrl,
    'select state from mana_ai.mission_snapshots where user_id = $1 and mission_id = $2',
    [user.userId, missionId],
  );
  return row?.['state'];
};
const isScheduled = async (told: SharedMission): Promise<boolean> => {
  const schedules = createMissionSchedules({ client: system.client, taskQueue: RUNNER_TASK_QUEUE });
  for await (const { missionId } of schedules.list()) if (missionId === told.missionId) return true;
  return false;
};

/** The run that holds the mission now. */
async function holderOf({ user, missionId }: SharedMission) {
  const [row] = await query(
    system.databases.superuser.syncUrl,
    'select workflow_id from mana_ai.run_slots where user_id = $1 and mission_id = $2',
    [user.userId, missionId],
  );
  return system.client.workflow.getHandle<() => Promise<MissionRunResult>>(String(row?.['workflow_id']));
}

describe('a member of the space', () => {
  it('who pauses a mission prevents its run; resumed by its owner it runs', async () => {
    const nextRunAt = at(6_000);
    const told = await writeSharedMission({ nextRunAt });
    await waitUntil('its schedule', () => isScheduled(told));
    await write(told, told.member, { state: 'paused' });
    await waitUntil('no schedule', async () => !(await isScheduled(told)));
    // A wish to go on, of somebody else in the space, and changes of what it does.
    const other = await system.webApp.createUser();
    await write(told, other, {
      state: 'active',
      nextRunAt,
      objective: 'another',
      cadence: { kind: 'manual' },
    });

    // Another mission, due later, has run: its instant has passed.
    const probe = await writePlaintextMission(system.webApp, `objective-${randomUUID()}`, {
      nextRunAt: formatInstant(Math.max(Date.now(), Date.parse(nextRunAt) + 500)),
    });
    await device.waitForIterations(probe);
    expect(requestsWith(told.objective)).toBe(0);
    expect(await device.iterations(told)).toEqual([]);

    await write(told, told.user, { state: 'active', nextRunAt: at(1_000) });
    expect(await device.waitForIterations(told)).toMatchObject([{ overallStatus: 'awaiting-review' }]);
    expect(requestsWith(told.objective)).toBe(2);
  });

  it('who pauses it under way stops the run: no further round, and the claim’s end alone', async () => {
    const held: Gate = gate();
    const told = await writeSharedMission();
    answers.set(told.objective, (request) => held.hold(replyOfTwoRounds(request)));
    await write(told, told.user, { nextRunAt: at(-1_000) });
    await waitUntil('our run has asked', () => requestsWith(told.objective));
    await write(told, told.member, { state: 'paused' });
    await waitUntil('the pause is taken in', async () => (await stateOf(told)) === 'paused');
    const run = await holderOf(told);
    held.open();
    expect(await run.result()).toMatchObject({ outcome: 'paused' });
    await waitUntilForgotten(system.databases, told.missionId);
    expect(requestsWith(told.objective)).toBe(1);
    expect(await device.iterations(told)).toMatchObject([
      { overallStatus: 'failed', plan: [], errorDetails: { name: 'run-stopped' } },
    ]);
    expect(await device.ourRows(told)).toMatchObject([{ spaceId: told.spaceId }, { spaceId: told.spaceId }]);
  });

  it('who overwrites its iterations finds them put back', async () => {
    const told = await writeSharedMission({ nextRunAt: at(500) });
    const [ours] = await device.waitForIterations(told);
    const rows = await device.ourRows(told);
    await write(told, told.member, { iterations: [] });
    const [healing] = await waitUntil('the healing', async () => {
      const more = (await device.ourRows(told)).slice(rows.length);
      return more.length > 0 ? more : null;
    });
    expect(healing).toMatchObject({ origin: 'system', spaceId: told.spaceId, data: { iterations: [ours] } });
  });
});

import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { agentAt, missionAt, noteAt, type RawRow, type WebAppUser } from '#dev/web-app.ts';
import { formatInstant } from '#domain/base/instant.ts';
import { openDevice, waitUntilForgotten, type Device } from '#test/support/device.ts';
import { writeGrantedMission, writePlaintextMissionOf } from '#test/support/granted-mission.ts';
import { countRows, query } from '#test/support/inspect.ts';
import { startMissionSystem, type MissionSystem } from '#test/support/mission-system.ts';
import { replyOfTwoRounds } from '#test/support/planner-scripts.ts';
import { readAudit } from '#test/support/stored-rows.ts';
import { waitUntil } from '#test/support/wait-until.ts';

let system: MissionSystem;
let device: Device;
beforeAll(async () => {
  system = await startMissionSystem({ script: replyOfTwoRounds });
  device = openDevice(system.webApp, system.databases);
});
afterAll(() => system.close());

const past = (): string => formatInstant(Date.now() - 1_000);
const WRONG_TYPES: readonly unknown[] = [5, 'text', [], [[]], null, true, undefined];
const OPS = ['insert', 'update', 'delete', 'upsert', ''];

/** Parsed, because in a literal the first of them would be the prototype. */
const HOSTILE_NAMES: unknown = JSON.parse(
  '{"__proto__": {"state": "paused"}, "constructor": 1, "a.b.c": 1, "": 1, ".": 1, "__proto__.state": "paused"}',
);

/** Rows that no web app writes, for one record. */
function malformedRows(at: Pick<RawRow, 'appId' | 'table' | 'id'>): RawRow[] {
  const wrongData = OPS.flatMap((op) => WRONG_TYPES.map((data) => ({ ...at, op, data })));
  const wrongTimes = [5, 'x', [], null, { iterations: 5 }, { iterations: '2026-99-99' }, { title: {} }];
  return [
    ...wrongData.filter(({ op }) => op !== 'delete'),
    ...wrongTimes.map((fieldMeta) => ({ ...at, op: 'update', data: { unknownField: 1 }, fieldMeta })),
    { ...at, op: 'update', data: HOSTILE_NAMES },
    { ...at, op: 'unknown', data: { state: 'paused' } },
    { ...at, op: 'insert', data: { updatedAt: 'yesterday', createdAt: 7 } },
    { ...at, op: 'delete', data: { deletedAt: 'not a time', x: 1 }, clientId: 'device-of-yesterday' },
  ];
}

const write = async (user: WebAppUser, rows: readonly RawRow[]): Promise<void> => {
  for (const row of rows) await system.webApp.insertRow(user.userId, row);
};

/** Fields of missions that a good web app never has, each in a mission of its own that is due. */
const STRANGE_MISSIONS: readonly Readonly<Record<string, unknown>>[] = [
  { cadence: 'daily' },
  { cadence: { kind: 'interval', everyMinutes: 'thirty' } },
  { cadence: { kind: 'interval', everyMinutes: 525_600 }, nextRunAt: '9999-12-30T00:00:00.000Z' },
  { cadence: { kind: 'daily', atHour: 24, atMinute: -1 } },
  { cadence: { kind: 'weekly', dayOfWeek: 7, atHour: 8 } },
  { cadence: { kind: 'cron', expression: '0 0 31 2 *' } },
  { cadence: { kind: 'cron', expression: '0 0 29 2 1' }, nextRunAt: null },
  { cadence: { kind: 'cron', expression: '* * * *' } },
  { cadence: { kind: 'lunar', phase: 3 } },
  { cadence: [] },
  { nextRunAt: 17 },
  { nextRunAt: '1970-01-01T00:00:00.000Z' },
  { nextRunAt: '2300-01-01T00:00:00.000Z' },
  { nextRunAt: '0001-01-01T00:00:00.000Z' },
  { state: ['active'] },
  { inputs: 'all' },
  { inputs: [5, null, { module: 'notes' }, { module: 'x', table: 'pg_authid', id: 'x' }] },
  { agentId: { id: 'x' } },
  { iterations: [5, 'x', null, [], { id: 5 }, { id: 'i' }, { id: 'j', plan: 'x' }] },
  { iterations: { 0: 'x' } },
  { iterations: 'none' },
  { title: { a: 1 }, objective: [], conceptMarkdown: 5 },
  { grant: 'x' },
  { grant: { wrappedKey: 5 } },
];

describe('malformed rows', () => {
  let bad: WebAppUser;
  let strange: readonly string[];

  beforeAll(async () => {
    bad = await system.webApp.createUser();
    for (const id of ['', ' ', 'm', 'x'.repeat(600), '../..', 'a:b', '%00', '\u{1F6B2}'])
      await write(bad, malformedRows(missionAt(id)));
    await write(bad, malformedRows(agentAt('')));
    await write(bad, malformedRows(noteAt('')));
    strange = await Promise.all(
      STRANGE_MISSIONS.map((fields) =>
        writePlaintextMissionOf(system.webApp, bad, 'strange', { nextRunAt: past(), ...fields }),
      ),
    );
  });

  it('stop no good mission, neither of the same user nor of another', async () => {
    const [mine, theirs] = [`mine-${randomUUID()}`, `theirs-${randomUUID()}`];
    const missionId = await writePlaintextMissionOf(system.webApp, bad, mine, { nextRunAt: past() });
    const other = await system.webApp.createUser();
    const otherId = await writePlaintextMissionOf(system.webApp, other, theirs, { nextRunAt: past() });
    for (const told of [
      { user: bad, missionId },
      { user: other, missionId: otherId },
    ]) {
      expect(await device.waitForIterations(told)).toMatchObject([{ overallStatus: 'awaiting-review' }]);
    }
  });

  it('are taken in once, leave no mission waiting for its schedule, and no run under way', async () => {
    const { superuser } = system.databases;
    await waitUntil('every snapshot is applied', async () => {
      const pending = await query(
        superuser.syncUrl,
        `select mission_id, cadence, next_run_at from mana_ai.mission_snapshots where version <> applied_version`,
      );
      return pending.length === 0 || Promise.reject(new Error(JSON.stringify(pending)));
    });
    for (const missionId of strange) await waitUntilForgotten(system.databases, missionId);
    await waitUntil('every row is taken in', async () => {
      const unprojected = await countRows(
        superuser.syncUrl,
        'public.sync_changes',
        `table_name = 'aiMissions' and not exists (select from mana_ai.projected_changes where change_id = id)`,
      );
      return unprojected === 0;
    });
  });

  it('of one mission among good ones do not keep it from running', async () => {
    const user = await system.webApp.createUser();
    const objective = `objective-${randomUUID()}`;
    const missionId = await writePlaintextMissionOf(system.webApp, user, objective, { state: 'paused' });
    const rows = malformedRows(missionAt(missionId)).filter(({ op }) => op !== 'delete');
    await write(user, rows);
    await system.webApp.update(user, missionAt(missionId), { state: 'active', nextRunAt: past() });
    expect(await device.waitForIterations({ user, missionId })).toMatchObject([
      { overallStatus: 'awaiting-review' },
    ]);
  });

  it('of a mission’s iterations come back as devices can take them', async () => {
    const missionId =
      strange[STRANGE_MISSIONS.findIndex(({ iterations }) => Array.isArray(iterations))] ?? '';
    // What the device wrote itself may count four already: ours is what mends it, whenever it comes.
    await waitUntil('each has a plan, and ours is there', async () => {
      const iterations = await device.iterations({ user: bad, missionId });
      const isMended = iterations.every((iteration) => Array.isArray(iteration['plan']));
      return isMended && (await device.ourRows({ user: bad, missionId })).length > 0;
    });
  });
});

describe('rows that another user writes under the ids of a mission, its notes and its agent', () => {
  it('change nothing for it, and nobody sees what they hold', async () => {
    const [objective, hostile] = [`objective-${randomUUID()}`, `hostile-${randomUUID()}`];
    const told = await writeGrantedMission(system, objective);
    const inputs = (await device.mission(told))['inputs'] as { table: string; id: string }[];
    const mallory = await system.webApp.createUser();
    const { webApp } = system;
    const takeover = {
      ...{
        title: hostile,
        objective: hostile,
        conceptMarkdown: hostile,
        state: 'archived',
        deletedAt: past(),
      },
      ...{
        cadence: { kind: 'manual' },
        nextRunAt: '2999-01-01T00:00:00.000Z',
        grant: null,
        agentId: hostile,
      },
      ...{ iterations: [{ id: hostile, plan: [] }] },
    };
    const future = { atMs: Date.now() + 3_600_000 };
    await webApp.insert(mallory, missionAt(told.missionId), {
      ...takeover,
      updatedAt: '2999-01-01T00:00:00.000Z',
    });
    await webApp.update(mallory, missionAt(told.missionId), takeover, future);
    for (const { table, id } of inputs) {
      const at = table === 'notes' ? noteAt(id) : { appId: 'todo', table, id };
      await webApp.insert(mallory, at, { title: hostile, content: hostile, description: hostile });
      await webApp.update(mallory, at, { title: hostile, content: mallory.encrypt(hostile) }, future);
    }
    await webApp.update(told.user, missionAt(told.missionId), { nextRunAt: past() });
    const iterations = await device.waitForIterations(told);
    expect(iterations).toMatchObject([{ source: 'server', overallStatus: 'awaiting-review' }]);
    expect(await readAudit(system.databases, told.missionId)).toEqual(['aiMissions ok', 'notes ok']);
    const requests = system.gateway.requests.filter(({ bodyText }) => bodyText.includes(objective));
    expect(requests).toHaveLength(2);
    expect(requests[0]?.bodyText).toContain('Packing list');
    expect(system.gateway.requests.filter(({ bodyText }) => bodyText.includes(hostile))).toEqual([]);
    expect(await device.endRows({ user: mallory, missionId: told.missionId })).toEqual([]);
  });
});

import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { makeInferredSchedulesPending } from '#db/projection.ts';
import { readMissionsAfter } from '#db/schedule-state.ts';
import { saveTimeZone, timeZoneAndSource, timeZoneOfMission, type SourcedTimeZone } from '#db/time-zones.ts';
import { isTimeZone } from '#domain/cadence/cadence.ts';
import { toMissionId, toUserId, type UserId } from '#domain/base/ids.ts';
import { missionScheduleSpec } from '#domain/cadence/schedule-spec.ts';
import { timeZoneOfOffset } from '#domain/cadence/utc-offset.ts';
import { createMissionSchedules } from '#schedules/mission-schedules.ts';
import { connectClient } from '#temporal/connection.ts';
import { createDataConverter } from '#temporal/data-converter.ts';
import { createActivityHarness, type ActivityHarness } from '#test/support/activity-dependencies.ts';
import { query } from '#test/support/inspect.ts';

let harness: ActivityHarness;
beforeAll(async () => {
  harness = await createActivityHarness('time-zones-test');
});
afterAll(() => harness.close());

const superuser = (sql: string) => query(harness.databases.superuser.syncUrl, sql);

/** Snapshots as the projection keeps them: mission id and, where devices showed one, the offset and when. */
async function keepSnapshots(
  userId: UserId,
  ...missions: readonly (readonly [missionId: string, shown?: { minutes: number; at: string }])[]
): Promise<void> {
  for (const [missionId, shown] of missions) {
    const [minutes, at] = shown === undefined ? ['null', 'null'] : [shown.minutes, `'${shown.at}'`];
    await superuser(
      `insert into mana_ai.mission_snapshots
         (user_id, mission_id, exists_now, device_utc_offset_minutes, device_offset_at)
       values ('${userId}', '${missionId}', true, ${minutes}, ${at})`,
    );
  }
}

const name = (userId: UserId, missionId: string, timeZone: string): Promise<void> =>
  harness.api.asUser(userId, (tx) => saveTimeZone(tx, toMissionId(missionId), timeZone));

const missionsOf = async (userId: UserId) =>
  (await readMissionsAfter(harness.projection.database.system, null, 1000)).filter(
    (mission) => mission.userId === userId,
  );

/** What the API says of a mission, where runner and projection know the same zone. */
async function zoneOf(userId: UserId, missionId: string): Promise<SourcedTimeZone> {
  const id = toMissionId(missionId);
  const said = await harness.api.asUser(userId, (tx) => timeZoneAndSource(tx, id));
  const { database } = harness.runner;
  expect(await database.asUser(userId, (tx) => timeZoneOfMission(tx, id))).toBe(said.timeZone);
  const projected = (await missionsOf(userId)).find((mission) => mission.missionId === missionId);
  expect(projected?.timeZone).toBe(said.timeZone);
  return said;
}

const apply = (userId: UserId) =>
  superuser(`update mana_ai.mission_snapshots set applied_version = version where user_id = '${userId}'`);
const pendingOf = async (userId: UserId): Promise<string[]> =>
  (await missionsOf(userId)).filter(({ isPending }) => isPending).map(({ missionId }) => missionId);

describe('the zone of a mission', () => {
  const userId = toUserId('ada');

  it('is the one named for it, named last, shown for it, shown last for another: in this order', async () => {
    const other = toUserId('bob');
    await keepSnapshots(other, ['m', { minutes: -300, at: '2026-11-24T12:00:00Z' }]);
    await name(other, 'm', 'America/New_York');
    await keepSnapshots(userId, ['m'], ['x']);
    expect(await zoneOf(userId, 'm')).toEqual({ timeZone: null, source: null });

    await keepSnapshots(userId, ['newer', { minutes: 330, at: '2026-11-02T00:00:00Z' }]);
    await keepSnapshots(userId, ['older', { minutes: 120, at: '2026-11-01T00:00:00Z' }]);
    expect(await zoneOf(userId, 'm')).toEqual({ timeZone: 'Asia/Kolkata', source: 'inferred' });
    expect(await zoneOf(userId, 'older')).toEqual({ timeZone: 'Etc/GMT-2', source: 'inferred' });

    await name(userId, 'x', 'Europe/Paris');
    await name(userId, 'newer', 'Europe/Berlin');
    expect(await zoneOf(userId, 'm')).toEqual({ timeZone: 'Europe/Berlin', source: 'user' });
    expect(await zoneOf(userId, 'older')).toEqual({ timeZone: 'Europe/Berlin', source: 'user' });
    expect(await zoneOf(userId, 'x')).toEqual({ timeZone: 'Europe/Paris', source: 'mission' });
  });

  it('is unknown where another Node knew its name: runs, schedules and prompts go by no zone then', async () => {
    const finn = toUserId('finn');
    await keepSnapshots(finn, ['m', { minutes: 120, at: '2026-11-24T12:00:00Z' }]);
    await name(finn, 'm', 'Mars/Base');
    expect(await zoneOf(finn, 'm')).toEqual({ timeZone: null, source: null });
  });

  it('is known before the projection has seen the mission', async () => {
    const id = toMissionId('not-yet-pushed');
    const known = await harness.api.asUser(userId, (tx) => timeZoneAndSource(tx, id));
    expect(known).toEqual({ timeZone: 'Europe/Berlin', source: 'user' });
  });
});

describe('schedules become pending', () => {
  it('of missions without a zone and an offset, when the offset of another one changes', async () => {
    const userId = toUserId('cleo');
    const stranger = toUserId('dora');
    await keepSnapshots(stranger, ['m']);
    await keepSnapshots(userId, ['bare'], ['shown', { minutes: 60, at: '2026-11-01T00:00:00Z' }]);
    await keepSnapshots(userId, ['changed', { minutes: 120, at: '2026-11-02T00:00:00Z' }]);
    const { system } = harness.projection.database;
    const change = () => makeInferredSchedulesPending(system, [{ userId, missionId: 'changed' }]);
    await Promise.all([userId, stranger].map(apply));
    await change();
    expect(await pendingOf(userId)).toEqual(['bare']);
    expect(await pendingOf(stranger)).toEqual([]);

    await name(userId, 'shown', 'Europe/Berlin');
    await apply(userId);
    await change();
    expect(await pendingOf(userId)).toEqual([]);
  });

  it('of those that follow the last zone named, also where the mission itself keeps its own', async () => {
    const userId = toUserId('eve');
    await keepSnapshots(userId, ['bare'], ['first'], ['second']);
    await name(userId, 'first', 'Europe/Berlin');
    expect(await pendingOf(userId)).toEqual(['bare', 'first', 'second']);
    await name(userId, 'second', 'Asia/Kolkata');
    await apply(userId);

    await name(userId, 'first', 'Europe/Berlin');
    expect(await pendingOf(userId)).toEqual(['bare', 'first']);
    expect(await zoneOf(userId, 'bare')).toEqual({ timeZone: 'Europe/Berlin', source: 'user' });

    await apply(userId);
    await name(userId, 'first', 'Europe/Berlin');
    expect(await pendingOf(userId)).toEqual([]);
  });
});

it('every zone that an offset stands for is one to us, and Temporal knows it', async () => {
  const offsets = Array.from({ length: 26 * 4 + 1 }, (_, quarter) => quarter * 15 - 12 * 60);
  const zones = [...new Set(offsets.map(timeZoneOfOffset).filter((zone) => zone !== null))];
  expect(zones.length).toBeGreaterThan(30);
  expect(zones.filter((zone) => !isTimeZone(zone))).toEqual([]);
  const keys = new Map([['test', Buffer.alloc(32, 7)]]);
  const dataConverter = createDataConverter({ primaryKeyId: 'test', keys });
  const temporal = { address: inject('temporalAddress'), namespace: 'default' };
  const connected = await connectClient(temporal, dataConverter);
  const userId = randomUUID();
  const schedules = createMissionSchedules({ client: connected.client, taskQueue: `nobody-${userId}` });
  const cadence = { kind: 'daily', atHour: 8, atMinute: 0 } as const;
  try {
    for (const timeZone of zones) {
      const spec = missionScheduleSpec({ cadence, nextRunAtMs: Date.now() + 86_400_000, timeZone });
      if (spec === null) throw new Error(`${timeZone}: found no spec`);
      const mission = { userId, missionId: timeZone, agentId: null, spec, paused: false };
      expect(await schedules.ensure(mission)).toBe('created');
      await schedules.remove(userId, timeZone);
    }
  } finally {
    await connected.close();
  }
});

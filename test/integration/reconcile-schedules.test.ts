import { waitUntil } from '#test/support/wait-until.ts';
import { ServiceError } from '@temporalio/client';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { applySchedules } from '#activities/projection/apply-schedules.ts';
import { CONCURRENCY } from '#activities/projection/in-parallel.ts';
import { reconcileSchedules } from '#activities/projection/reconcile-schedules.ts';
import { registry } from '#metrics/registry.ts';
import { createActivityHarness, type ActivityHarness } from '#test/support/activity-dependencies.ts';
import { query } from '#test/support/inspect.ts';
import { recordingSchedules, type RecordingSchedules } from '#test/support/recording-schedules.ts';

let harness: ActivityHarness;
let deps: ActivityHarness['projection'] & { readonly schedules: RecordingSchedules };
beforeAll(async () => {
  harness = await createActivityHarness('reconcile-schedules-test');
});
afterAll(() => harness.close());
beforeEach(async () => {
  deps = { ...harness.projection, schedules: recordingSchedules() };
  await superuser(`truncate mana_ai.mission_snapshots`);
  await superuser(`update mana_ai.projection_cursor set read_back_25_hours_at = now()`);
});

const superuser = (sql: string) => query(harness.databases.superuser.syncUrl, sql);
const signal = new AbortController().signal;
const NOTHING_MENDED = {
  ...{ created: 0, updated: 0, reencrypted: 0, moved: 0 },
  ...{ removed: 0, duplicatesRemoved: 0, started: 0, failed: 0 },
};

/** Snapshots that were applied, with their schedules. */
async function appliedMissions(count: number): Promise<void> {
  await superuser(`insert into mana_ai.mission_snapshots (user_id, mission_id, exists_now, state, cadence, next_run_at)
    select 'user-' || n % 10, 'm' || n, true, 'active', '{"kind":"interval","everyMinutes":60}', now() + interval '1 hour'
    from generate_series(1, ${count}) n`);
  await applySchedules(deps, signal);
  deps.schedules.asked.length = 0;
}

/** What the metric says that reconciles had to make. */
const madeAnew = async (): Promise<number> => {
  const found = await registry.getSingleMetric('mana_schedules_mended_total')?.get();
  return found?.values.find(({ labels }) => labels['change'] === 'created')?.value ?? 0;
};

describe('a full reconcile', () => {
  it('asks nothing about missions whose schedules are as they were applied, over many pages', async () => {
    await appliedMissions(2_100);
    expect(await reconcileSchedules(deps, signal)).toEqual({
      ...NOTHING_MENDED,
      missions: 2_100,
      schedules: 2_100,
    });
    expect(deps.schedules.asked).toEqual([]);
  });

  it('takes a schedule that a run left with its older first instant for right', async () => {
    await appliedMissions(1);
    const moveTo = (minutes: number) =>
      superuser(`update mana_ai.mission_snapshots set version = version + 1,
        next_run_at = date_trunc('hour', now()) + interval '1 hour' + interval '${minutes} minutes'`);
    // The instant of the last hour, then the next one of the same grid: the schedule fires at it anyway.
    await moveTo(-120);
    await applySchedules(deps, signal);
    await moveTo(0);
    await applySchedules(deps, signal);
    expect(deps.schedules.asked).toEqual(['ensure m1', 'start m1']);
    expect(await reconcileSchedules(deps, signal)).toEqual({ ...NOTHING_MENDED, missions: 1, schedules: 1 });
    deps.schedules.present.clear();
    const before = await madeAnew();
    expect(await reconcileSchedules(deps, signal)).toMatchObject({ created: 1 });
    expect(await madeAnew()).toBe(before + 1);
    expect(await reconcileSchedules(deps, signal)).toMatchObject(NOTHING_MENDED);
  });

  it('counts nothing that a closer look shows to be right, although the list says otherwise', async () => {
    await appliedMissions(2);
    const stale = { ...deps.schedules, list: () => recordingSchedules().list() };
    expect(await reconcileSchedules({ ...deps, schedules: stale }, signal)).toEqual({
      ...NOTHING_MENDED,
      ...{ missions: 2, schedules: 0 },
    });
    expect(deps.schedules.asked.sort()).toEqual(['ensure m1', 'ensure m2']);
  });

  it('leaves pending missions to those who apply them, their schedules included', async () => {
    await appliedMissions(2);
    await superuser(`update mana_ai.mission_snapshots set version = version + 1, state = 'paused'`);
    expect(await reconcileSchedules(deps, signal)).toEqual({ ...NOTHING_MENDED, missions: 0, schedules: 2 });
    expect(deps.schedules.present.size).toBe(2);
  });

  it('encrypts every schedule anew once another codec key is the first, and counts that by itself', async () => {
    await appliedMissions(30);
    deps.schedules.codecKeyId = 'second';
    const unchanged = { ...NOTHING_MENDED, missions: 30, schedules: 30 };
    expect(await reconcileSchedules(deps, signal)).toEqual({ ...unchanged, reencrypted: 30 });
    expect(await reconcileSchedules(deps, signal)).toEqual(unchanged);
    expect(new Set(deps.schedules.writtenUnder.values())).toEqual(new Set(['second']));
  });

  it('does so a few at a time', async () => {
    await appliedMissions(60);
    deps.schedules.codecKeyId = 'second';
    let atOnce = 0;
    let most = 0;
    deps.schedules.beforeEach = async () => {
      most = Math.max(most, (atOnce += 1));
      // The first ones wait for each other, for they come as the database lets them.
      await waitUntil('as many as may are at work', () => most >= CONCURRENCY);
      await nextTurn();
      atOnce -= 1;
    };
    expect(await reconcileSchedules(deps, signal)).toMatchObject({ reencrypted: 60 });
    expect(most).toBe(CONCURRENCY);
  });

  it('does so also for missions whose next instant their schedule has anyway: nothing is sent for those', async () => {
    await appliedMissions(1);
    const moveTo = (hours: number) =>
      superuser(`update mana_ai.mission_snapshots set version = version + 1,
        next_run_at = date_trunc('hour', now()) + interval '${hours} hours'`);
    await moveTo(-1);
    await applySchedules(deps, signal);
    deps.schedules.asked.length = 0;
    deps.schedules.codecKeyId = 'second';
    // A run has ended: what the follower does then leaves the key as it was.
    await moveTo(1);
    await applySchedules(deps, signal);
    expect(deps.schedules.asked).toEqual([]);
    // Pending once more, as a busy mission may be whenever a reconcile comes.
    await moveTo(1);
    expect(await reconcileSchedules(deps, signal)).toMatchObject({ reencrypted: 1, updated: 0 });
    expect([...deps.schedules.writtenUnder.values()]).toEqual(['second']);
  });

  it('removes what no mission claims only when the whole log has been read once', async () => {
    await appliedMissions(1);
    await superuser(`delete from mana_ai.mission_snapshots`);
    await superuser(`update mana_ai.projection_cursor set read_back_25_hours_at = '-infinity'`);
    expect(await reconcileSchedules(deps, signal)).toMatchObject({ removed: 0 });
    await superuser(`update mana_ai.projection_cursor set read_back_25_hours_at = now()`);
    expect(await reconcileSchedules(deps, signal)).toMatchObject({ removed: 1 });
    expect(deps.schedules.present.size).toBe(0);
  });

  it('goes on after one mission that cannot be mended, and ends where Temporal does not answer', async () => {
    await appliedMissions(3);
    deps.schedules.present.clear();
    deps.schedules.beforeEach = (missionId) =>
      missionId === 'm2' ? Promise.reject(new Error('no')) : Promise.resolve();
    expect(await reconcileSchedules(deps, signal)).toMatchObject({ created: 2, failed: 1 });
    const down = Object.assign(new Error('no'), { code: 14, details: '', metadata: {} });
    deps.schedules.beforeEach = () => Promise.reject(new ServiceError('made up', { cause: down }));
    await expect(reconcileSchedules(deps, signal)).rejects.toThrow('made up');
  });
});

import { ServiceError } from '@temporalio/client';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { applyMission, makeMission, startIfPassed } from '#activities/projection/apply-mission.ts';
import { applySchedules } from '#activities/projection/apply-schedules.ts';
import { followChangeLog } from '#activities/projection/follow.ts';
import { projectChanges } from '#activities/projection/project-changes.ts';
import { runPass } from '#activities/projection/run-pass.ts';
import { startHealings } from '#activities/projection/start-healings.ts';
import { startLateSeen, startPassed } from '#activities/projection/start-passed.ts';
import { makeInferredSchedulesPending, readKept } from '#db/projection.ts';
import { markAllApplied, postponePending, readPendingMissions } from '#db/schedule-state.ts';
import { withClient } from '#dev/platform-schema.ts';
import { missionAt, type WebAppUser } from '#dev/web-app.ts';
import { formatInstant } from '#domain/base/instant.ts';
import { createActivityHarness, type ActivityHarness } from '#test/support/activity-dependencies.ts';
import { query } from '#test/support/inspect.ts';
import { recordingSchedules, type RecordingSchedules } from '#test/support/recording-schedules.ts';
import { waitUntil } from '#test/support/wait-until.ts';

let harness: ActivityHarness;
let user: WebAppUser;
beforeAll(async () => {
  harness = await createActivityHarness('apply-schedules-test');
  user = await harness.webApp.createUser();
});
afterEach(() => vi.restoreAllMocks());
beforeEach(() =>
  superuser(
    `truncate public.sync_changes, mana_ai.mission_snapshots, mana_ai.run_slots, mana_ai.schedule_opt_outs,
      mana_ai.missions_put_aside`,
  ),
);
afterAll(() => harness.close());

const superuser = (sql: string) => query(harness.databases.superuser.syncUrl, sql);
const HOUR_MS = 3_600_000;
const UNAVAILABLE = 14;
const unavailable = (): Error =>
  new ServiceError('made up', {
    cause: Object.assign(new Error('no'), { code: UNAVAILABLE, details: '', metadata: {} }),
  });

type Recording = ActivityHarness['projection'] & { readonly schedules: RecordingSchedules };
const recording = (): Recording => ({ ...harness.projection, schedules: recordingSchedules() });

const signal = new AbortController().signal;

async function writeMission(
  missionId: string,
  nextRunAtMs: number,
  fields: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  await harness.webApp.insert(user, missionAt(missionId), {
    state: 'active',
    cadence: { kind: 'interval', everyMinutes: 30 },
    nextRunAt: formatInstant(nextRunAtMs),
    ...fields,
  });
  await projectChanges(harness.projection);
}

/** Snapshots as a projection leaves them, without its log. */
const manySnapshots = (count: number) =>
  superuser(`insert into mana_ai.mission_snapshots (user_id, mission_id, exists_now, state, cadence, next_run_at)
    select 'many-' || n % 20, 'm' || n, true, 'active', '{"kind":"interval","everyMinutes":30}', now() + interval '1 hour'
    from generate_series(1, ${count}) n`);

const holdSlot = (missionId: string, runId: string) =>
  superuser(`insert into mana_ai.run_slots (user_id, mission_id, workflow_id, run_id, iteration_id)
    values ('${user.userId}', '${missionId}', 'w', '${runId}', '')`);

const pending = () =>
  superuser(
    `select mission_id from mana_ai.mission_snapshots where version <> applied_version order by mission_id`,
  );

describe('a mission whose instant has passed', () => {
  it('is started directly, beside its schedule, in its user’s turn', async () => {
    await writeMission('m1', Date.now() - HOUR_MS);
    const deps = recording();
    const counts = { applied: 1, changed: 1, started: 1, isUnavailable: false };
    expect(await applySchedules(deps, signal)).toEqual(counts);
    expect(deps.schedules.asked).toEqual(['ensure m1', 'start m1']);
    expect(await applySchedules(deps, signal)).toMatchObject({ applied: 0 });
  });

  it('gets neither schedule nor run when its user was erased after it was read', async () => {
    const { userId } = await harness.webApp.createUser();
    await superuser(`insert into mana_ai.mission_snapshots (user_id, mission_id, exists_now, state, cadence, next_run_at)
      values ('${userId}', 'm1', true, 'active', '{"kind":"interval","everyMinutes":30}', now() - interval '1 hour')`);
    const [mission] = await readPendingMissions(harness.projection.database.system, [userId], 1);
    if (mission === undefined) throw new Error('no mission is pending');
    await superuser(`select mana_ai.enter_erased_user('${userId}')`);
    const deps = recording();
    // What was read counts for five seconds: erasing looks for the schedules that are made by it half a minute later.
    const late = { ...mission, notErasedAtMs: performance.now() - 5_001 };
    expect(await applyMission(deps, late)).toEqual({ change: 'unchanged', started: false });
    expect(await startIfPassed(deps, mission)).toBe('not-started');
    expect(deps.schedules.asked).toEqual(['ensure m1']);
    expect(deps.schedules.present.size).toBe(0);
  });

  it('is read without a word on its user where that one is being erased', async () => {
    const { userId } = await harness.webApp.createUser();
    await superuser(`insert into mana_ai.mission_snapshots (user_id, mission_id, exists_now, state)
      values ('${userId}', 'm1', true, 'active'), ('${user.userId}', 'm1', true, 'active')`);
    await superuser(`select mana_ai.enter_erased_user('${userId}')`);
    const startedMs = performance.now();
    const read = await readPendingMissions(
      harness.projection.database.system,
      [userId, user.userId].toSorted(),
      2,
    );
    const askedAtMs = (of: string) => read.find((mission) => mission.userId === of)?.notErasedAtMs;
    expect(askedAtMs(userId)).toBeNull();
    expect(askedAtMs(user.userId)).toBeGreaterThanOrEqual(startedMs);
    expect(askedAtMs(user.userId)).toBeLessThanOrEqual(performance.now());
  });

  it('gets no schedule when its user is erased while the schedule is looked for, for longer than that', async () => {
    const { userId } = await harness.webApp.createUser();
    await superuser(`insert into mana_ai.mission_snapshots (user_id, mission_id, exists_now, state, cadence, next_run_at)
      values ('${userId}', 'm1', true, 'active', '{"kind":"interval","everyMinutes":30}', now() + interval '1 hour')`);
    const deps = recording();
    deps.schedules.beforeEach = async () => {
      await superuser(`select mana_ai.enter_erased_user('${userId}')`);
      const now = performance.now.bind(performance);
      vi.spyOn(performance, 'now').mockImplementation(() => now() + 5_001);
    };
    await applySchedules(deps, signal);
    expect(deps.schedules.asked).toEqual(['ensure m1']);
    expect(deps.schedules.present.size).toBe(0);
  });

  it('gets its schedule when the erasing of its user, under way as it was to be made, is broken off', async () => {
    const { userId } = await harness.webApp.createUser();
    await superuser(`insert into mana_ai.mission_snapshots (user_id, mission_id, exists_now, state, cadence, next_run_at)
      values ('${userId}', 'm1', true, 'active', '{"kind":"interval","everyMinutes":30}', now() + interval '1 hour')`);
    const deps = recording();
    await withClient(harness.databases.superuser.syncUrl, async (command) => {
      await command.query('begin');
      await command.query('select mana_ai.enter_erased_user($1)', [userId]);
      await applySchedules(deps, signal);
      await command.query('rollback');
    });
    expect(deps.schedules.present.size).toBe(0);
    expect(await pending()).toEqual([{ mission_id: 'm1' }]);
    await superuser('update mana_ai.mission_snapshots set updated_at = now()');
    await applySchedules(deps, signal);
    expect(deps.schedules.present.size).toBe(1);
  });

  it('is started once by a pass that also writes its schedule', async () => {
    await writeMission('m1', Date.now() - HOUR_MS);
    const deps = recording();
    expect(await runPass(deps, signal)).toMatchObject({ schedules: 1, started: 1 });
    expect(deps.schedules.asked).toEqual(['ensure m1', 'start m1']);
  });

  it('is not started while its schedule holds it back, and is afterwards', async () => {
    await writeMission('m1', Date.now() - HOUR_MS);
    const deps = recording();
    deps.schedules.heldBack.add('m1');
    await applySchedules(deps, signal);
    expect(await startPassed(deps, 0, signal)).toBe(0);
    expect(deps.schedules.asked).toEqual(['ensure m1']);
    deps.schedules.heldBack.clear();
    expect(await startPassed(deps, 0, signal)).toBe(1);
  });

  it('is not started again while its run is open, and is when that run is dead', async () => {
    await writeMission('waiting', Date.now() - HOUR_MS);
    await writeMission('orphan', Date.now() - HOUR_MS);
    await holdSlot('waiting', 'open');
    await holdSlot('orphan', 'dead');
    const deps = {
      ...recording(),
      isRunOpen: (_id: string, runId: string) => Promise.resolve(runId === 'open'),
    };
    await applySchedules(deps, signal);
    await startPassed(deps, 0, signal);
    expect(deps.schedules.asked.filter((asked) => asked.startsWith('start'))).toEqual([
      'start orphan',
      'start orphan',
    ]);
  });

  it('is not started when nothing could be written about it, until it has another instant', async () => {
    await writeMission('m1', Date.now() - HOUR_MS);
    await superuser(`insert into mana_ai.missions_put_aside (user_id, mission_id, put_aside_at)
      values ('${user.userId}', 'm1', now() - interval '30 minutes')`);
    const deps = recording();
    expect(await applySchedules(deps, signal)).toMatchObject({ applied: 1, started: 0 });
    expect(await startPassed(deps, 0, signal)).toBe(0);
    await superuser(`update mana_ai.mission_snapshots set next_run_at = now() - interval '1 minute'`);
    expect(await startPassed(deps, 0, signal)).toBe(1);
  });

  it('is started by a pass at once, and by the follower only when nobody else did for five minutes', async () => {
    await writeMission('m1', Date.now() + HOUR_MS);
    const deps = recording();
    await applySchedules(deps, signal);
    await superuser(`update mana_ai.mission_snapshots set next_run_at = now() - interval '1 minute'`);
    expect(await startPassed(deps, 5 * 60_000, signal)).toBe(0);
    expect(await runPass(deps, signal)).toEqual({
      changes: 0,
      records: 0,
      schedules: 0,
      started: 1,
      pending: 0,
    });
  });

  it('each of hundreds is looked at, also behind many that are held back', async () => {
    await manySnapshots(450);
    await superuser(`update mana_ai.mission_snapshots set applied_version = version,
      next_run_at = now() - interval '1 hour' - random() * interval '1 day'`);
    const deps = recording();
    for (let n = 1; n <= 449; n += 1) deps.schedules.heldBack.add(`m${n}`);
    expect(await startPassed(deps, 0, signal)).toBe(1);
    expect(deps.schedules.asked).toEqual(['start m450']);
  });
});

describe('a mission that is first seen shortly before its instant', () => {
  const passInstant = () =>
    superuser(`update mana_ai.mission_snapshots set
      next_run_at = next_run_at - interval '1 minute', look_again_at = look_again_at - interval '1 minute'`);

  it('is started within seconds of it if its schedule passed over it, once', async () => {
    await writeMission('m1', Date.now() + 20_000);
    const deps = recording();
    await applySchedules(deps, signal);
    expect(await startLateSeen(deps, signal)).toBe(0);
    await passInstant();
    expect(await startLateSeen(deps, signal)).toBe(1);
    expect(await startLateSeen(deps, signal)).toBe(0);
    expect(deps.schedules.asked).toEqual(['ensure m1', 'start m1']);
  });

  it('does not wait for its schedule behind others that are written first', async () => {
    await writeMission('m1', Date.now() + 20_000);
    await writeMission('resumed', Date.now() - 20_000);
    await writeMission('paused', Date.now() + 20_000, { state: 'paused' });
    await writeMission('later', Date.now() + 90_000);
    await writeMission('opted-out', Date.now() + 20_000);
    await superuser(`insert into mana_ai.schedule_opt_outs values ('${user.userId}', 'opted-out')`);
    const deps = recording();
    expect(await startLateSeen(deps, signal)).toBe(1);
    await passInstant();
    expect(await startLateSeen(deps, signal)).toBe(1);
    expect(await startLateSeen(deps, signal)).toBe(0);
    expect(deps.schedules.asked).toEqual(['start resumed', 'start m1']);
    await applySchedules(deps, signal);
    expect([...deps.schedules.present.values()].map(({ missionId }) => missionId).sort()).toEqual([
      ...['later', 'm1', 'resumed'],
    ]);
  });

  it('is left alone if its run has come, or an operator holds it back', async () => {
    await writeMission('m1', Date.now() + 20_000);
    const deps = recording();
    await applySchedules(deps, signal);
    deps.schedules.heldBack.add('m1');
    await passInstant();
    expect(await startLateSeen(deps, signal)).toBe(0);
    expect(deps.schedules.asked).toEqual(['ensure m1']);
  });

  it('is tried again when it could not be started, without keeping the others waiting', async () => {
    await writeMission('bad', Date.now() + 20_000);
    await writeMission('good', Date.now() + 20_000);
    const deps = recording();
    await applySchedules(deps, signal);
    await passInstant();
    const refusing = {
      ...deps.schedules,
      startDue: (run: Parameters<RecordingSchedules['startDue']>[0]) =>
        run.missionId === 'bad' ? Promise.reject(unavailable()) : deps.schedules.startDue(run),
    };
    expect(await startLateSeen({ ...deps, schedules: refusing }, signal)).toBe(1);
    await passInstant();
    expect(await startLateSeen(deps, signal)).toBe(1);
    expect(deps.schedules.asked.slice(2)).toEqual(['start good', 'start bad']);
  });

  it('one that is seen in time is not looked at', async () => {
    await writeMission('m1', Date.now() + HOUR_MS);
    await applySchedules(recording(), signal);
    expect(await superuser(`select look_again_at from mana_ai.mission_snapshots`)).toEqual([
      { look_again_at: null },
    ]);
  });
});

describe('a mission whose zone the server refuses', () => {
  const daily = (timeZone: string) =>
    superuser(`update mana_ai.mission_snapshots set cadence = '{"kind":"daily","atHour":8,"atMinute":0}';
      insert into mana_ai.mission_time_zones (user_id, mission_id, time_zone)
      values ('${user.userId}', 'm1', '${timeZone}')
      on conflict (user_id, mission_id) do update set time_zone = excluded.time_zone`);

  it('gets a schedule of instants computed here, and no update until they run low', async () => {
    // The last 08:00 there, where clocks are never changed.
    const dayMs = 24 * HOUR_MS;
    await writeMission('m1', Math.floor((Date.now() - 14 * HOUR_MS) / dayMs) * dayMs + 14 * HOUR_MS);
    await daily('Canada/East-Saskatchewan');
    const deps = recording();
    deps.schedules.unfollowedZones.add('Canada/East-Saskatchewan');
    await applySchedules(deps, signal);
    const [schedule] = [...deps.schedules.present.values()];
    expect(schedule?.spec).toMatchObject({ calendars: [], timeZone: 'UTC' });
    expect(schedule?.spec.intervals).toHaveLength(16);
    const nextDay = (days: number) =>
      superuser(`update mana_ai.mission_snapshots set version = version + 1,
        next_run_at = next_run_at + interval '${days} days'`);
    await nextDay(1);
    await applySchedules(deps, signal);
    expect(deps.schedules.asked).toEqual(['ensure m1', 'start m1']);
    await nextDay(13);
    await applySchedules(deps, signal);
    expect(deps.schedules.asked).toEqual(['ensure m1', 'start m1', 'ensure m1']);
  });

  it('is started when its instant has passed, even if its schedule cannot be written at all', async () => {
    await writeMission('m1', Date.now() - HOUR_MS);
    await daily('No/Such_Zone');
    const deps = recording();
    deps.schedules.beforeEach = () => Promise.reject(new TypeError('Invalid schedule spec'));
    await applySchedules(deps, signal);
    expect(deps.schedules.asked).toEqual(['ensure m1', 'start m1']);
  });
});

describe('a mission that its user took out of the background', () => {
  it('loses its schedule and is not started, and gets it back', async () => {
    await writeMission('m1', Date.now() + HOUR_MS);
    const deps = recording();
    await applySchedules(deps, signal);
    await superuser(`insert into mana_ai.schedule_opt_outs values ('${user.userId}', 'm1')`);
    await superuser(
      `update mana_ai.mission_snapshots set version = version + 1, next_run_at = now() - interval '1 hour'`,
    );
    await runPass(deps, signal);
    expect(deps.schedules.asked).toEqual(['ensure m1', 'remove m1']);
    await superuser(
      `delete from mana_ai.schedule_opt_outs; update mana_ai.mission_snapshots set version = version + 1`,
    );
    await applySchedules(deps, signal);
    expect(deps.schedules.asked.slice(2)).toEqual(['ensure m1', 'start m1']);
  });
});

describe('a mission whose schedule cannot be written', () => {
  it('stays pending without keeping the others waiting, and is not tried all the time', async () => {
    await writeMission('bad', Date.now() + HOUR_MS);
    await writeMission('good', Date.now() + HOUR_MS);
    const deps = recording();
    deps.schedules.beforeEach = (missionId) =>
      missionId === 'bad' ? Promise.reject(new Error('no')) : Promise.resolve();
    expect(await applySchedules(deps, signal)).toMatchObject({ applied: 1 });
    expect(await applySchedules(deps, signal)).toMatchObject({ applied: 0 });
    // Both are asked for at once; once each is what counts.
    expect(deps.schedules.asked.toSorted()).toEqual(['ensure bad', 'ensure good']);
    expect(await pending()).toEqual([{ mission_id: 'bad' }]);
    await superuser(`update mana_ai.mission_snapshots set updated_at = now()`);
    deps.schedules.beforeEach = () => Promise.resolve();
    expect(await applySchedules(deps, signal)).toMatchObject({ applied: 1 });
  });

  it('does not hold up those that become pending while its call hangs', async () => {
    await writeMission('slow', Date.now() + HOUR_MS);
    const deps = recording();
    const answer = Promise.withResolvers<undefined>();
    deps.schedules.beforeEach = (missionId) => (missionId === 'slow' ? answer.promise : Promise.resolve());
    const applying = applySchedules(deps, signal);
    await waitUntil('the call hangs', () => deps.schedules.asked.length === 1);
    await writeMission('quick', Date.now() + HOUR_MS);
    await waitUntil('the other is applied', async () => (await pending()).length === 1);
    answer.resolve(undefined);
    expect(await applying).toMatchObject({ applied: 2 });
  });
});

describe('one of two namespaces being down', () => {
  const ofTwo = (): Recording => {
    const deps = recording();
    Object.assign(deps.schedules, {
      namespaces: ['first', 'second'],
      namespaceOf: (userId: string) => (userId.startsWith('0-') ? 'second' : 'first'),
    });
    deps.schedules.beforeEach = (missionId) =>
      missionId.startsWith('second') ? Promise.reject(unavailable()) : Promise.resolve();
    return deps;
  };
  const snapshotsOf = (user: string, mission: string, count: number) =>
    superuser(`insert into mana_ai.mission_snapshots
      (user_id, mission_id, exists_now, state, cadence, next_run_at, heal_at)
      select '${user}' || n, '${mission}' || n, true, 'active', '{"kind":"interval","everyMinutes":30}',
        now() + interval '1 hour', now() - interval '1 minute' from generate_series(1, ${count}) n`);

  it('keeps no user of the other from schedules, also of those who come behind', async () => {
    await snapshotsOf('0-', 'second', 120);
    await snapshotsOf('z', 'first', 120);
    const deps = ofTwo();
    expect(await applySchedules(deps, signal)).toMatchObject({ applied: 120, isUnavailable: true });
    expect(deps.schedules.asked.filter((asked) => asked.includes('second')).length).toBeLessThanOrEqual(10);
    expect(await pending()).toHaveLength(120);
    // Those that were tried are tried again soon: over an outage their instants pass.
    expect(
      await superuser(
        `select from mana_ai.mission_snapshots where updated_at > statement_timestamp() + interval '2 seconds'`,
      ),
    ).toEqual([]);
  });

  it('keeps no user of the other from healings, and is asked once', async () => {
    await snapshotsOf('0-', 'second', 3);
    await snapshotsOf('z', 'first', 2);
    const asked: string[] = [];
    const startHealing = (_userId: string, missionId: string) => {
      asked.push(missionId);
      return missionId.startsWith('second') ? Promise.reject(unavailable()) : Promise.resolve(true);
    };
    await superuser(`update mana_ai.mission_snapshots set heal_at = heal_at - interval '1 minute'
      where mission_id like 'second%'`);
    await startHealings({ ...ofTwo(), startHealing });
    expect(asked.toSorted()).toEqual(['first1', 'first2', expect.stringMatching(/^second/)]);
    // All of the second are tried again, and none of them before those that were due meanwhile.
    expect(
      await superuser(`select count(*)::int as count from mana_ai.mission_snapshots where heal_at > now()`),
    ).toEqual([{ count: 3 }]);
  });
});

it('a healing that hangs is the last once the projection is to end', async () => {
  await manySnapshots(3);
  await superuser(`update mana_ai.mission_snapshots set heal_at = now() - interval '1 minute'`);
  const stop = new AbortController();
  let asked = 0;
  const startHealing = () => {
    asked += 1;
    stop.abort();
    return Promise.resolve(true);
  };
  await startHealings({ ...recording(), startHealing }, stop.signal);
  expect(asked).toBe(1);
});

it('missions of more users than are read at once that are all put off are waited for by nobody', async () => {
  await superuser(`insert into mana_ai.mission_snapshots (user_id, mission_id, exists_now, state, updated_at)
    select 'off-' || n, 'm', true, 'active', clock_timestamp() + interval '9 seconds' from generate_series(1, 60) n`);
  expect(await applySchedules(recording(), signal)).toMatchObject({ applied: 0 });
});

describe('Temporal being down', () => {
  it('ends a burst after a few calls, keeps the log followed, and loses nothing', async () => {
    await manySnapshots(2_000);
    const deps = recording();
    deps.schedules.beforeEach = () => Promise.reject(unavailable());
    expect(await applySchedules(deps, signal)).toMatchObject({ applied: 0, isUnavailable: true });
    expect(deps.schedules.asked.length).toBeLessThanOrEqual(10);

    // A healing that hangs keeps no row waiting either.
    await superuser(
      `update mana_ai.mission_snapshots set heal_at = now()
        where mission_id = (select min(mission_id) from mana_ai.mission_snapshots)`,
    );
    const healing = Promise.withResolvers<boolean>();
    let healings = 0;
    const startHealing = () => {
      healings += 1;
      return healing.promise;
    };
    const stop = new AbortController();
    const following = followChangeLog({ ...deps, startHealing }, stop.signal);
    await waitUntil('the healing hangs', () => healings === 1);
    await harness.webApp.insert(user, missionAt('meanwhile'), {
      state: 'active',
      cadence: { kind: 'manual' },
    });
    await waitUntil('the log is followed', async () =>
      (await pending()).some((row) => row['mission_id'] === 'meanwhile'),
    );
    healing.resolve(true);
    deps.schedules.beforeEach = () => Promise.resolve();
    await superuser(`update mana_ai.mission_snapshots set updated_at = least(updated_at, now())`);
    await waitUntil('all are applied', async () => (await pending()).length === 0);
    stop.abort(new Error('end of the test'));
    await expect(following).rejects.toThrow('end of the test');
    expect(deps.schedules.present.size).toBe(2_000);
  });
});

describe('a mission of which no schedule is known', () => {
  it('has it made at once; one that has a schedule has it looked for', async () => {
    await writeMission('m1', Date.now() + HOUR_MS);
    const deps = recording();
    const firsts: unknown[] = [];
    const { ensure } = deps.schedules;
    deps.schedules.ensure = (schedule, options) => {
      firsts.push(options?.isFirst);
      return ensure(schedule, options);
    };
    await applySchedules(deps, signal);
    await superuser(
      `update mana_ai.mission_snapshots set version = version + 1, cadence = '{"kind":"interval","everyMinutes":45}'`,
    );
    await applySchedules(deps, signal);
    expect(firsts).toEqual([true, false]);
  });
});

describe('what was made of missions', () => {
  const readAll = (count: number) =>
    harness.projection.database.asSystem((tx) =>
      readPendingMissions(
        tx,
        Array.from({ length: 20 }, (_, n) => `many-${n}`),
        count,
      ),
    );

  it('is noted for many at once, and nobody is asked about for one mission alone', async () => {
    await manySnapshots(100);
    const { database } = harness.projection;
    let statements = 0;
    const system: typeof database.system = (strings, ...values) => {
      statements += 1;
      return database.system(strings, ...values);
    };
    const deps = { ...recording(), database: { ...database, system } };
    expect(await applySchedules(deps, signal)).toMatchObject({ applied: 100, changed: 100 });
    expect(await pending()).toEqual([]);
    expect(statements).toBeLessThan(50);
  });

  it('is found as it should be by whoever makes it again because it was not noted', async () => {
    await manySnapshots(3);
    const deps = recording();
    // As a process does that ends before it has noted any.
    for (const mission of await readAll(3)) await makeMission(deps, mission);
    expect(await pending()).toHaveLength(3);
    expect(await applySchedules(deps, signal)).toMatchObject({ applied: 3, changed: 0 });
    expect(deps.schedules.present.size).toBe(3);
    expect(await pending()).toEqual([]);
  });

  it('is not read of missions that are being worked on, and only later of those that were put off', async () => {
    await manySnapshots(3);
    const [first, second] = await readAll(3);
    if (first === undefined || second === undefined) throw new Error('nothing is pending');
    const readBut = async (...except: (typeof first)[]) => {
      const read = await harness.projection.database.asSystem((tx) =>
        readPendingMissions(tx, ['many-1', 'many-2', 'many-3'], 3, except),
      );
      return read.map(({ missionId }) => missionId).toSorted();
    };
    expect(await readBut()).toEqual(['m1', 'm2', 'm3']);
    expect(await readBut(first, second)).toHaveLength(1);
    const { system } = harness.projection.database;
    await postponePending(system, first, 'shortly');
    await postponePending(system, second);
    expect(await readBut()).toHaveLength(1);
    expect(
      await superuser(`select mission_id as id, updated_at > clock_timestamp() + interval '5 seconds' as later
        from mana_ai.mission_snapshots where updated_at > clock_timestamp()`),
    ).toEqual(
      expect.arrayContaining([
        { id: first.missionId, later: false },
        { id: second.missionId, later: true },
      ]),
    );
  });

  it('is read and noted by the index, page by page, while the planner knows nothing yet of how large the table is', async () => {
    await superuser('analyze mana_ai.mission_snapshots');
    await manySnapshots(2_000);
    const missions = await readAll(300);
    const named = missions.map(({ userId, missionId }) => ({ userId, missionId }));
    const records = named.map(({ userId, missionId: recordId }) => ({
      ...{ table: 'aiMissions' as const, userId, recordId },
    }));
    const notes = missions.map((mission) => ({ mission, applied: null, lookAgainAtMs: null }));
    const whole = await harness.projection.database.asSystem(async (tx) => {
      // What is planned after a few pages, and kept from then on.
      await tx`set local plan_cache_mode = force_generic_plan`;
      const count = async () => {
        const [row] = await tx<{ whole: number }[]>`
          select seq_scan::int as whole from pg_stat_xact_user_tables where relname = 'mission_snapshots'`;
        return row?.whole ?? NaN;
      };
      const counts = [await count()];
      await readKept(tx, 'aiMissions', records);
      counts.push(await count());
      await makeInferredSchedulesPending(tx, named.slice(0, 1));
      counts.push(await count());
      await markAllApplied(tx, notes);
      return [...counts, await count()];
    });
    expect(whole).toEqual(whole.map(() => whole[0]));
  });

  it('is not noted for one that changed or was made by others meanwhile, nor for one that is gone', async () => {
    await manySnapshots(4);
    const missions = await readAll(4);
    const of = (missionId: string) => {
      const mission = missions.find((each) => each.missionId === missionId);
      if (mission === undefined) throw new Error(`no ${missionId}`);
      const applied = {
        cadence: { kind: 'manual' },
        nextRunAtMs: null,
        timeZone: 'UTC',
        agentId: 'a',
      } as const;
      return { mission, applied, lookAgainAtMs: missionId === 'm1' ? Date.UTC(2030, 0) : null };
    };
    await superuser(`update mana_ai.mission_snapshots set version = version + 1 where mission_id = 'm2';
      update mana_ai.mission_snapshots set applied_version = version where mission_id = 'm3';
      delete from mana_ai.mission_snapshots where mission_id = 'm4'`);
    const notes = ['m1', 'm2', 'm3', 'm4'].map(of);
    const noted = await markAllApplied(harness.projection.database.system, notes);
    expect([...noted].map(({ mission }) => mission.missionId).toSorted()).toEqual(['m1', 'm2', 'm3']);
    expect(
      await superuser(`select mission_id as m, version = applied_version as applied, applied_schedule ->> 'agentId' as agent,
        look_again_at = '2030-01-01T00:00Z' as again from mana_ai.mission_snapshots order by mission_id`),
    ).toEqual([
      { m: 'm1', applied: true, agent: 'a', again: true },
      { m: 'm2', applied: false, agent: null, again: null },
      { m: 'm3', applied: true, agent: 'a', again: null },
    ]);
  });

  it('waits for a row that somebody else writes, and the others do not', async () => {
    await manySnapshots(30);
    const deps = recording();
    const { database } = harness.projection;
    const [locked, release] = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()];
    const writing = database.asSystem(async (tx) => {
      await tx`select from mana_ai.mission_snapshots where mission_id = 'm7' for update`;
      locked.resolve(undefined);
      await release.promise;
    });
    await locked.promise;
    const applying = applySchedules(deps, signal);
    await waitUntil('all others are noted', async () => (await pending()).length === 1);
    expect(await pending()).toEqual([{ mission_id: 'm7' }]);
    release.resolve(undefined);
    await writing;
    expect(await applying).toMatchObject({ applied: 30 });
    expect(await pending()).toEqual([]);
  });

  it('stays pending and is put off where the database does not take it', async () => {
    await manySnapshots(2);
    const { database } = harness.projection;
    const system: typeof database.system = (strings, ...values) =>
      strings[0]?.includes('known set') === true
        ? Promise.reject(new Error('made up'))
        : database.system(strings, ...values);
    const warnings: string[] = [];
    const log = { ...harness.projection.log, warn: (message: string) => void warnings.push(message) };
    const deps = { ...recording(), log, database: { ...database, system } };
    expect(await applySchedules(deps, signal)).toMatchObject({ applied: 0 });
    expect(warnings).toHaveLength(2);
    expect(
      await superuser(
        `select from mana_ai.mission_snapshots where version <> applied_version and updated_at > clock_timestamp()`,
      ),
    ).toHaveLength(2);
  });
});

describe('two that apply the same mission at once', () => {
  it('leave it pending where the older wish was written last, and the next look makes it right', async () => {
    await writeMission('m1', Date.now() + HOUR_MS);
    const deps = recording();
    const [older] = await readPendingMissions(deps.database.system, [user.userId], 1);
    await superuser(`update mana_ai.mission_snapshots set version = version + 1, state = 'archived'`);
    const [newer] = await readPendingMissions(deps.database.system, [user.userId], 1);
    if (older === undefined || newer === undefined) throw new Error('the mission is not pending');

    // The newer one removes the schedule; before it can note that, the older one makes it again and notes its own version.
    const removed = Promise.withResolvers<undefined>();
    const olderIsDone = Promise.withResolvers<undefined>();
    const remove = async (userId: string, missionId: string): Promise<boolean> => {
      const answer = await deps.schedules.remove(userId, missionId);
      removed.resolve(undefined);
      await olderIsDone.promise;
      return answer;
    };
    const applyingNewer = applyMission({ ...deps, schedules: { ...deps.schedules, remove } }, newer);
    await removed.promise;
    await applyMission(deps, older);
    olderIsDone.resolve(undefined);
    await applyingNewer;

    expect(deps.schedules.present.size).toBe(1);
    expect(await applySchedules(deps, signal)).toMatchObject({ applied: 1, changed: 1 });
    expect(deps.schedules.present.size).toBe(0);
    expect(await pending()).toEqual([]);
  });
});

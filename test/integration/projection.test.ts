import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createLook } from '#activities/projection/look.ts';
import {
  ALWAYS_BACK_MS,
  PAGE_SIZE,
  projectChanges,
  readBackOf,
} from '#activities/projection/project-changes.ts';
import { openDatabase, type Database } from '#db/client.ts';
import { readProjectionWork } from '#db/followed-changes.ts';
import { agentAt, missionAt, type WebAppUser } from '#dev/web-app.ts';
import { withClient } from '#dev/platform-schema.ts';
import { DatabaseUnavailableError } from '#domain/base/errors.ts';
import { RUNNER_CLIENT_ID } from '#domain/wire/rows.ts';
import { createActivityHarness, type ActivityHarness } from '#test/support/activity-dependencies.ts';
import { GRPC_STATUS } from '#temporal/grpc-status.ts';
import { countRows, query, tablesWith } from '#test/support/inspect.ts';
import { waitUntil } from '#test/support/wait-until.ts';

let harness: ActivityHarness;
let user: WebAppUser;
beforeAll(async () => {
  harness = await createActivityHarness('projection-test');
});
// The cursor is the whole database's: each test begins with an empty log and a cursor that has read nothing.
beforeEach(async () => {
  await superuser(
    `truncate public.sync_changes, mana_ai.mission_snapshots, mana_ai.agent_snapshots,
       mana_ai.projected_changes, mana_ai.mission_grants, mana_ai.run_slots, mana_ai.projection_backlogs`,
  );
  await superuser(
    `update mana_ai.projection_cursor set read_until = '-infinity', read_back_30_minutes_at = '-infinity',
       read_back_25_hours_at = '-infinity', page_end_id = null`,
  );
  harness.projection.healings.length = 0;
  harness.projection.cancelled.length = 0;
  harness.projection.warnings.length = 0;
  user = await harness.webApp.createUser();
});
afterAll(() => harness.close());

const MISSION = {
  title: 'x',
  state: 'active',
  cadence: { kind: 'interval', everyMinutes: 30 },
  iterations: [],
};
const insertMission = (missionId: string, fields: Readonly<Record<string, unknown>> = {}) =>
  harness.webApp.insert(user, missionAt(missionId), { ...MISSION, ...fields });
const project = () => projectChanges(harness.projection);
const superuser = (text: string, values: readonly unknown[] = []) =>
  query(harness.databases.superuser.syncUrl, text, values);

const snapshots = async (): Promise<Record<string, unknown>> => {
  const rows = await superuser(
    'select mission_id, version::int as version from mana_ai.mission_snapshots order by 1',
  );
  return Object.fromEntries(rows.map((row) => [String(row['mission_id']), row['version']]));
};

describe('a look for something to do', () => {
  const look = () => readProjectionWork(harness.projection.database.system, ALWAYS_BACK_MS);

  it('sees rows until they are projected, and schedules until they are applied', async () => {
    expect(await look()).toMatchObject({ rows: false, schedules: false });
    await insertMission('m1');
    expect(await look()).toMatchObject({ rows: true, schedules: false });
    await project();
    expect(await look()).toMatchObject({ rows: false, schedules: true });
    await superuser('update mana_ai.mission_snapshots set applied_version = version');
    expect(await look()).toMatchObject({ rows: false, schedules: false });
  });

  it('sees that a page has left rows of a longer read-back', async () => {
    await superuser('update mana_ai.projection_cursor set page_end_id = gen_random_uuid()');
    expect(await look()).toMatchObject({ rows: true });
  });

  it('knows when healings and missions behind their instants are due', async () => {
    expect(await look()).toMatchObject({ healInMs: null, lookAgainInMs: null });
    await insertMission('m1');
    await project();
    await superuser(
      `update mana_ai.mission_snapshots
       set heal_at = clock_timestamp() + interval '1 hour', look_again_at = clock_timestamp() - interval '1 hour'`,
    );
    const { healInMs, lookAgainInMs } = await look();
    expect(healInMs).toBeGreaterThan(3_500_000);
    expect(healInMs).toBeLessThanOrEqual(3_600_000);
    expect(lookAgainInMs).toBeLessThanOrEqual(-3_600_000);
  });

  it('sees users who have turns of their own', async () => {
    await superuser(
      `insert into mana_ai.projection_backlogs (user_id, after_at, after_id, is_first_build)
       values ('${user.userId}', now(), gen_random_uuid(), false)`,
    );
    expect(await look()).toMatchObject({ rows: true });
  });
});

describe('looks behind each other', () => {
  const NOTHING = { rows: false, schedules: false, healings: false, lateSeen: false };

  it.each([
    ['a transaction', []],
    ['a transaction within it', ['savepoint within']],
  ])('see what %s that began first and ended last has written', async (_what, inner) => {
    const { database } = harness.projection;
    let tablesRead = 0;
    const lookAgain = createLook({
      visibleTransactions: () => database.visibleTransactions(),
      system: (strings, ...values) => {
        tablesRead += 1;
        return database.system(strings, ...values);
      },
    });
    const look = async () => (await lookAgain()).found;
    const lookWithoutReading = () =>
      waitUntil('a look reads no table', async () => {
        const before = tablesRead;
        expect(await look()).toEqual(NOTHING);
        return tablesRead === before;
      });
    const projectAll = async () => {
      await project();
      await superuser('update mana_ai.mission_snapshots set applied_version = version');
    };
    await withClient(harness.databases.asWebApp.syncUrl, async (late) => {
      await late.query('begin');
      await late.query(`select set_config('app.current_user_id', $1, true)`, [user.userId]);
      for (const statement of inner) await late.query(statement);
      await late.query(
        `insert into public.sync_changes (app_id, table_name, record_id, user_id, op, data, client_id)
         values ('ai', 'aiMissions', 'late', $1, 'insert', '{"state": "active"}', 'device-2')`,
        [user.userId],
      );
      for (let time = 0; time < 3; time += 1) await lookWithoutReading();
      await insertMission('early');
      expect(await look()).toMatchObject({ rows: true });
      await projectAll();
      for (let time = 0; time < 3; time += 1) await lookWithoutReading();
      await late.query('commit');
    });
    expect(await look()).toMatchObject({ rows: true });
    await projectAll();
    expect(Object.keys(await snapshots())).toEqual(['early', 'late']);
    await lookWithoutReading();
  });
});

describe('projecting the change log', () => {
  it('takes each row in once; a second pass changes nothing', async () => {
    await insertMission('m1', { nextRunAt: '2026-05-04T12:00:00.123Z', agentId: 'a1' });
    expect(await project()).toEqual({ projected: true, changes: 1, records: 1 });
    expect(await project()).toEqual({ projected: true, changes: 0, records: 0 });
    const rows = await superuser(
      `select exists_now, state, cadence, next_run_at, agent_id, version::int as version from mana_ai.mission_snapshots`,
    );
    expect(rows).toEqual([
      {
        ...{ exists_now: true, state: 'active', cadence: MISSION.cadence, agent_id: 'a1', version: 1 },
        next_run_at: new Date('2026-05-04T12:00:00.123Z'),
      },
    ]);
  });

  it('raises the version only when a scheduling field changes', async () => {
    await insertMission('m1');
    await project();
    await harness.webApp.update(user, missionAt('m1'), {
      title: 'another',
      iterations: [{ id: 'i', plan: [] }],
    });
    await project();
    expect(await snapshots()).toEqual({ m1: 1 });
    await harness.webApp.update(user, missionAt('m1'), { state: 'paused' });
    await project();
    expect(await snapshots()).toEqual({ m1: 2 });
  });

  it('keeps no text of the user', async () => {
    const text = `CANARY-${randomUUID()}`;
    await insertMission('m1', {
      ...{ title: text, objective: text, conceptMarkdown: text },
      ...{ inputs: [{ module: 'notes', table: 'notes', id: text }], grant: { wrappedKey: text } },
      ...{ iterations: [{ id: 'i1', plan: [], summary: text }], cadence: { ...MISSION.cadence, note: text } },
    });
    await project();
    const tables = await tablesWith(harness.databases.superuser.syncUrl, [text]);
    expect(tables).toEqual([`public.sync_changes: ${text}`]);
  });

  it('does not lose a transaction that began earlier and committed later', async () => {
    await withClient(harness.databases.asWebApp.syncUrl, async (late) => {
      await late.query('begin');
      await late.query(`select set_config('app.current_user_id', $1, true)`, [user.userId]);
      await late.query(
        `insert into public.sync_changes (app_id, table_name, record_id, user_id, op, data, client_id)
         values ('ai', 'aiMissions', 'late', $1, 'insert', '{"state": "active"}', 'device-2')`,
        [user.userId],
      );
      await insertMission('early');
      await project();
      expect(await snapshots()).toEqual({ early: 1 });
      await late.query('commit');
    });
    await project();
    expect(await snapshots()).toEqual({ early: 1, late: 1 });
  });

  it('finds a row that became visible up to 25 hours late at its next long read-back', async () => {
    await insertMission('now');
    await project();
    await superuser(
      `insert into public.sync_changes (app_id, table_name, record_id, user_id, op, data, client_id, created_at)
       values ('ai', 'aiMissions', 'old', $1, 'insert', '{"state": "active"}', 'd', now() - interval '24 hours')`,
      [user.userId],
    );
    expect(await project()).toMatchObject({ changes: 0 });
    await superuser(
      `update mana_ai.projection_cursor set read_back_25_hours_at = now() - interval '61 minutes'`,
    );
    expect(await project()).toMatchObject({ changes: 1 });
    expect(await snapshots()).toEqual({ now: 1, old: 1 });
  });

  it('a row from the year 2100 takes the cursor nowhere', async () => {
    await superuser(
      `insert into public.sync_changes (app_id, table_name, record_id, user_id, op, data, client_id, created_at)
       values ('ai', 'aiMissions', 'future', $1, 'insert', '{"state": "active"}', 'd', '2100-01-01')`,
      [user.userId],
    );
    await project();
    const ahead = await countRows(
      harness.databases.superuser.syncUrl,
      'mana_ai.projection_cursor',
      'read_until > clock_timestamp()',
    );
    expect(ahead).toBe(0);
    await insertMission('now');
    await project();
    expect(await snapshots()).toEqual({ future: 1, now: 1 });
  });

  it('two projectors at once double nothing: one of them has nothing to do', async () => {
    for (const id of ['m1', 'm2', 'm3']) await insertMission(id);
    const passes = await Promise.all([project(), project()]);
    expect(passes.reduce((sum, pass) => sum + pass.changes, 0)).toBe(3);
    expect(await snapshots()).toEqual({ m1: 1, m2: 1, m3: 1 });
  });

  it('a projector that finds the cursor locked goes on without waiting', async () => {
    await insertMission('m1');
    await harness.projection.database.asSystem(async (tx) => {
      await tx`select from mana_ai.projection_cursor for update`;
      expect(await project()).toEqual({ projected: false, changes: 0, records: 0 });
    });
    expect(await project()).toMatchObject({ changes: 1 });
  });

  it('a backlog longer than a page is taken in page by page', async () => {
    await superuser(
      `insert into public.sync_changes (app_id, table_name, record_id, user_id, op, data, client_id)
       select 'ai', 'aiMissions', 'm' || number, $1, 'insert', '{"state": "active"}', 'd'
         from generate_series(1, $2::int) as number`,
      [user.userId, PAGE_SIZE + 1],
    );
    expect(await project()).toMatchObject({ changes: PAGE_SIZE });
    expect(await project()).toMatchObject({ changes: 1 });
    expect(Object.keys(await snapshots())).toHaveLength(PAGE_SIZE + 1);
  });

  it('a long read-back goes on behind the last page, and then finds what became visible before its end', async () => {
    await superuser(
      `insert into public.sync_changes (app_id, table_name, record_id, user_id, op, data, client_id, created_at)
       select 'ai', 'aiMissions', 'm' || number, $1, 'insert', '{"state": "active"}', 'd',
         now() - interval '1 hour' + number * interval '1 second' from generate_series(1, $2::int) as number`,
      [user.userId, PAGE_SIZE + 1],
    );
    expect(await project()).toMatchObject({ changes: PAGE_SIZE });
    await superuser(
      `insert into public.sync_changes (app_id, table_name, record_id, user_id, op, data, client_id, created_at)
       values ('ai', 'aiMissions', 'late', $1, 'insert', '{"state": "active"}', 'd', now() - interval '2 hours')`,
      [user.userId],
    );
    expect(await project()).toMatchObject({ changes: 1 });
    expect(Object.keys(await snapshots())).not.toContain('late');
    expect(await project()).toMatchObject({ changes: 1 });
    expect(Object.keys(await snapshots())).toContain('late');
    expect(await project()).toMatchObject({ changes: 0 });
  });

  it('a pass with nothing new reads the rows of its read-back and no others, however long the log', async () => {
    await superuser(
      `insert into public.sync_changes (app_id, table_name, record_id, user_id, op, data, client_id, created_at)
       select case when number % 20 = 0 then 'ai' else 'notes' end,
         case when number % 20 = 0 then 'aiMissions' else 'notes' end, 'm' || number, $1, 'insert', '{}', 'd',
         now() - interval '30 days' + number * interval '2 minutes' from generate_series(1, 20000) as number`,
      [user.userId],
    );
    await superuser('analyze public.sync_changes');
    while ((await project()).changes > 0);
    const { database } = harness.projection;
    const reads: unknown[] = [];
    const asSystem: Database['asSystem'] = (work) =>
      database.asSystem(async (tx) => {
        const count = async () => {
          const [row] = await tx<{ whole: number; fetched: number }[]>`
            select seq_scan::int as whole, idx_tup_fetch::int as fetched from pg_stat_xact_user_tables
            where relname = 'sync_changes'`;
          return row ?? { whole: 0, fetched: 0 };
        };
        // Planning for these very values looks at both ends of an index now and then, which counts as rows fetched.
        await tx`set local plan_cache_mode = force_generic_plan`;
        const before = await count();
        const result = await work(tx);
        const after = await count();
        reads.push({ whole: after.whole - before.whole, fetched: after.fetched - before.fetched });
        return result;
      });
    const counting = { ...harness.projection, database: { ...database, asSystem } };
    expect(await projectChanges(counting)).toMatchObject({ projected: true, changes: 0 });
    // Of the 1,000 missions one every 40 minutes: the newest, on which the cursor stands.
    expect(reads).toEqual([{ whole: 0, fetched: 1 }]);
  });

  it('forgets the ids of rows that no read-back reaches any more', async () => {
    await insertMission('m1');
    await project();
    await superuser(
      `insert into mana_ai.projected_changes (change_id, created_at) select gen_random_uuid(), now() - hours * interval '1 hour'
       from unnest(array[25, 27]) as hours`,
    );
    await superuser(`update mana_ai.projection_cursor set read_back_25_hours_at = '-infinity'`);
    await project();
    expect(
      await superuser(`select round(extract(epoch from now() - created_at) / 3600)::int as hours
        from mana_ai.projected_changes order by 1`),
    ).toEqual([{ hours: 0 }, { hours: 25 }]);
  });

  it('passes over rows of other tables and other apps', async () => {
    await superuser(
      `insert into public.sync_changes (app_id, table_name, record_id, user_id, op, data, client_id)
       values ('ai', 'notes', 'a1', $1, 'insert', '{}', 'd'), ('notes', 'notes', 'n1', $1, 'insert', '{}', 'd'),
         ('notes', 'aiMissions', 'm1', $1, 'insert', '{}', 'd')`,
      [user.userId],
    );
    expect(await project()).toMatchObject({ changes: 0 });
  });

  it('keeps users apart who use the same mission id', async () => {
    const other = await harness.webApp.createUser();
    await insertMission('shared');
    await harness.webApp.insert(other, missionAt('shared'), { ...MISSION, state: 'archived' });
    await project();
    const rows = await superuser('select user_id, state from mana_ai.mission_snapshots');
    expect(new Map(rows.map((row) => [row['user_id'], row['state']]))).toEqual(
      new Map([
        [user.userId, 'active'],
        [other.userId, 'archived'],
      ]),
    );
  });

  it('a deleted mission stays as one that does not exist', async () => {
    await insertMission('m1', { nextRunAt: '2026-05-04T12:00:00.000Z' });
    await harness.webApp.insertRow(user.userId, { ...missionAt('m1'), op: 'delete', data: {} });
    await project();
    const rows = await superuser('select exists_now, state, next_run_at from mana_ai.mission_snapshots');
    expect(rows).toEqual([{ exists_now: false, state: null, next_run_at: null }]);
  });

  it('a mission and an agent that have been gone so long that they were forgotten stay gone when a device changes them', async () => {
    for (const [at, fields] of [
      [missionAt('m1'), MISSION],
      [agentAt('a1'), { state: 'active' }],
    ] as const) {
      await harness.webApp.insert(user, at, fields);
      await harness.webApp.update(user, at, { deletedAt: '2026-01-01T00:00:00.000Z' });
    }
    await project();
    await superuser('delete from mana_ai.mission_snapshots');
    await superuser('delete from mana_ai.agent_snapshots');
    await harness.webApp.update(user, missionAt('m1'), { state: 'active', cadence: MISSION.cadence });
    await harness.webApp.update(user, agentAt('a1'), { state: 'active' });
    expect(await project()).toMatchObject({ changes: 2, records: 2 });
    const gone = [{ exists_now: false }, { exists_now: false }];
    const both =
      'select exists_now from mana_ai.mission_snapshots union all select exists_now from mana_ai.agent_snapshots';
    expect(await superuser(both)).toEqual(gone);
  });

  it('null for a grant revokes what was issued before it, in the mint log', async () => {
    const grant = await harness.grantFor(user, 'm1', ['notes:n1'], { issuedAtMs: Date.now() - 60_000 });
    await harness.grantFor(user, 'm1', ['notes:n1'], { issuedAtMs: Date.now() + 60_000 });
    await harness.grantFor(user, 'm2', ['notes:n1'], { issuedAtMs: Date.now() - 60_000 });
    await insertMission('m1', { grant });
    await harness.webApp.update(user, missionAt('m1'), { grant: null });
    await project();
    const revoked = await superuser(
      'select mission_id, issued_at < now() as earlier from mana_ai.mission_grants where revoked_at is not null',
    );
    expect(revoked).toEqual([{ mission_id: 'm1', earlier: true }]);
  });
});

describe('times', () => {
  const insertAt = (missionId: string, createdAt: string) =>
    superuser(
      `insert into public.sync_changes (app_id, table_name, record_id, user_id, op, data, client_id, created_at)
       values ('ai', 'aiMissions', $2, $1, 'insert', '{"state": "active"}', 'd', ${createdAt})`,
      [user.userId, missionId],
    );
  const standsAt = async () =>
    (await superuser('select read_until::text as at from mana_ai.projection_cursor'))[0]?.['at'];

  it('keep their microseconds in the cursor, so that nothing is taken in twice', async () => {
    await insertAt(
      'm1',
      `date_trunc('second', now()) - interval '1 second' + interval '123456 microseconds'`,
    );
    await project();
    expect(await standsAt()).toMatch(/\.123456\+00$/);
    // Without the ids that were projected, only the cursor's time keeps rows from being read again.
    const unread = await superuser(
      `select count(*)::int as count from public.sync_changes, mana_ai.projection_cursor where created_at > read_until`,
    );
    expect(unread).toEqual([{ count: 0 }]);
  });

  it('of a transaction that commits minutes after later ones lose nothing', async () => {
    await insertMission('now');
    await project();
    await insertAt('began-20-minutes-ago', `now() - interval '20 minutes'`);
    expect(await project()).toMatchObject({ changes: 0 });
    await superuser(
      `update mana_ai.projection_cursor set read_back_30_minutes_at = now() - interval '5 minutes'`,
    );
    expect(await project()).toMatchObject({ changes: 1 });
  });

  it('after the clock was set back by an hour are taken in at once', async () => {
    await superuser(
      `update mana_ai.projection_cursor set read_until = now() + interval '1 hour',
         read_back_30_minutes_at = now() + interval '1 hour', read_back_25_hours_at = now() - interval '1 minute'`,
    );
    await insertMission('m1');
    expect(await project()).toMatchObject({ changes: 1 });
    const ahead = await superuser(
      'select read_until > clock_timestamp() as ahead from mana_ai.projection_cursor',
    );
    expect(ahead).toEqual([{ ahead: false }]);
  });
});

describe('what is kept of a mission', () => {
  it('takes new rows in without the old ones', async () => {
    await insertMission('m1', { nextRunAt: '2026-05-04T12:00:00.000Z' });
    await project();
    // Whatever is read from here on, it is not the first row.
    await superuser('truncate public.sync_changes');
    await harness.webApp.update(user, missionAt('m1'), { 'cadence.everyMinutes': 45 });
    await project();
    const rows = await superuser('select state, cadence, next_run_at from mana_ai.mission_snapshots');
    expect(rows).toEqual([
      {
        ...{ state: 'active', cadence: { kind: 'interval', everyMinutes: 45 } },
        next_run_at: new Date('2026-05-04T12:00:00.000Z'),
      },
    ]);
  });

  it.each(['null', `'{"merge": 7}'`])('is made anew from the log where it is %s', async (kept) => {
    await insertMission('m1');
    await project();
    await superuser(`update mana_ai.mission_snapshots set merge_state = ${kept}::jsonb, state = null`);
    await harness.webApp.update(user, missionAt('m1'), { nextRunAt: '2026-05-04T12:00:00.000Z' });
    await project();
    const rows = await superuser('select state, next_run_at from mana_ai.mission_snapshots');
    expect(rows).toEqual([{ state: 'active', next_run_at: new Date('2026-05-04T12:00:00.000Z') }]);
  });

  it('holds the distance from UTC that a device showed, never ours', async () => {
    const daily = { cadence: { kind: 'daily', atHour: 8, atMinute: 30 } };
    await insertMission('m1', { ...daily, nextRunAt: '2026-07-04T06:30:00.000Z' });
    await insertMission('cron', { cadence: { kind: 'cron', expression: '0 9 * * *' } });
    await project();
    await harness.webApp.insertRow(user.userId, {
      ...{ ...missionAt('m1'), op: 'update', clientId: RUNNER_CLIENT_ID },
      ...{ data: { nextRunAt: '2026-07-05T08:30:00.000Z' }, fieldMeta: {} },
    });
    await project();
    const rows = await superuser(
      `select mission_id, device_utc_offset_minutes as minutes from mana_ai.mission_snapshots order by 1 desc`,
    );
    expect(rows).toEqual([
      { mission_id: 'm1', minutes: 120 },
      { mission_id: 'cron', minutes: null },
    ]);
  });
});

describe('an agent', () => {
  it('is known by its state alone, which raises no mission’s version', async () => {
    const persona = `CANARY-${randomUUID()}`;
    await insertMission('m1', { agentId: 'a1' });
    await harness.webApp.insert(user, agentAt('a1'), {
      name: persona,
      systemPrompt: persona,
      state: 'active',
    });
    await project();
    await harness.webApp.update(user, agentAt('a1'), { state: 'paused' });
    expect(await project()).toMatchObject({ changes: 1, records: 1 });
    const agents = await superuser('select agent_id, exists_now, state from mana_ai.agent_snapshots');
    expect(agents).toEqual([{ agent_id: 'a1', exists_now: true, state: 'paused' }]);
    expect(await snapshots()).toEqual({ m1: 1 });
    const tables = await tablesWith(harness.databases.superuser.syncUrl, [persona]);
    expect(tables).toEqual([`public.sync_changes: ${persona}`]);
  });
});

describe('a run that its user wants cancelled', () => {
  const holdSlot = (claimedAt: string) =>
    superuser(
      `insert into mana_ai.run_slots (user_id, mission_id, workflow_id, run_id, iteration_id, claimed_at)
       values ($1, 'm1', 'w1', 'run-1', 'i1', ${claimedAt})`,
      [user.userId],
    );

  it.each<[string, Readonly<Record<string, unknown>>]>([
    ['the mission', { cancelRequested: true }],
    ['an iteration that is running', { iterations: [{ id: 'i', plan: [], cancelRequested: true }] }],
  ])('is told so, once, where %s asks for it', async (_, fields) => {
    await insertMission('m1');
    await holdSlot(`now() - interval '1 minute'`);
    await harness.webApp.update(user, missionAt('m1'), fields);
    await project();
    await project();
    expect(harness.projection.cancelled).toEqual(['run-1']);
  });

  it('is not the one that began long after the run that a device keeps asking to cancel', async () => {
    const startedAt = '2026-05-04T12:00:00.000Z';
    const iterations = [{ id: 'i', plan: [], startedAt, overallStatus: 'running', cancelRequested: true }];
    await insertMission('m1', { iterations });
    await holdSlot(`now() - interval '1 minute'`);
    await harness.webApp.update(user, missionAt('m1'), { title: 'edited', iterations });
    await project();
    expect(harness.projection.cancelled).toEqual([]);
  });

  it('is not the one that began after the wish, nor meant by a finished iteration', async () => {
    await insertMission('m1', {
      iterations: [{ id: 'i', plan: [], cancelRequested: true, finishedAt: '2026-05-04T12:00:00.000Z' }],
    });
    await harness.webApp.update(user, missionAt('m1'), { cancelRequested: true });
    await holdSlot(`now() + interval '1 minute'`);
    await project();
    expect(harness.projection.cancelled).toEqual([]);
  });
});

describe('an overwritten iteration', () => {
  const ours = { id: 'i1', plan: [], source: 'server', overallStatus: 'approved' };
  const overwrite = async () => {
    await insertMission('m1');
    await harness.webApp.insertRow(user.userId, {
      ...{ ...missionAt('m1'), op: 'update', clientId: RUNNER_CLIENT_ID },
      ...{ data: { iterations: [ours] }, fieldMeta: { iterations: '2026-05-04T12:00:00.000Z' } },
    });
    await harness.webApp.update(user, missionAt('m1'), { iterations: [] });
  };

  it('has its healing started', async () => {
    await overwrite();
    await project();
    expect(harness.projection.healings).toEqual([`${user.userId}/m1`]);
  });

  it('of a user who was erased is nobody’s: the rows count as projected, and nothing is started', async () => {
    await insertMission('m0');
    await project();
    await superuser('update mana_ai.mission_snapshots set heal_at = now()');
    await superuser('select mana_ai.enter_erased_user($1)', [user.userId]);
    await overwrite();
    expect(await project()).toEqual({ projected: true, changes: 3, records: 0 });
    expect(await project()).toMatchObject({ changes: 0 });
    expect(harness.projection.healings).toEqual([]);
    expect(Object.keys(await snapshots())).toEqual(['m0']);
  });

  it('of a user who is being entered as erased waits: the command may be broken off', async () => {
    await overwrite();
    await withClient(harness.databases.superuser.syncUrl, async (command) => {
      await command.query('begin');
      await command.query('select mana_ai.enter_erased_user($1)', [user.userId]);
      expect(await project()).toEqual({ projected: true, changes: 0, records: 0 });
      await command.query('rollback');
    });
    expect(harness.projection.healings).toEqual([]);
    expect(await project()).toEqual({ projected: true, changes: 3, records: 1 });
    expect(harness.projection.healings).toEqual([`${user.userId}/m1`]);
  });

  it('is healed later where that could not be begun, or was under way and may have read before', async () => {
    await overwrite();
    await insertMission('m2');
    const startings = [() => Promise.reject(new Error('Temporal is down')), () => Promise.resolve(false)];
    for (const startHealing of startings) {
      await projectChanges({ ...harness.projection, startHealing });
      await superuser('update mana_ai.mission_snapshots set heal_at = now() where heal_at > now()');
    }
    expect(harness.projection.warnings).toMatchObject([
      { missionId: 'm1', error: expect.any(Error) as Error },
    ]);
    // What it waits for keeps no row from being projected.
    expect(await snapshots()).toEqual({ m1: 1, m2: 1 });
    for (const pass of [1, 2]) {
      expect([pass, await project()]).toMatchObject([pass, { changes: 0 }]);
      expect(harness.projection.healings).toEqual([`${user.userId}/m1`]);
    }
  });

  it('asks a Temporal that does not answer once, and not for each mission', async () => {
    for (const missionId of ['m1', 'm2', 'm3']) await insertMission(missionId);
    await project();
    await superuser('update mana_ai.mission_snapshots set heal_at = now()');
    let asked = 0;
    const startHealing = () => {
      asked += 1;
      return Promise.reject(
        Object.assign(new Error('no answer'), {
          code: GRPC_STATUS.DEADLINE_EXCEEDED,
          details: '',
          metadata: {},
        }),
      );
    };
    await projectChanges({ ...harness.projection, startHealing });
    expect(asked).toBe(1);
  });
});

describe('rows that cannot be projected', () => {
  it('stop no other mission, however many they are, and do not keep the projector from pausing', async () => {
    const unlucky = await harness.webApp.createUser();
    await superuser(
      `insert into public.sync_changes (app_id, table_name, record_id, user_id, op, data, client_id)
       select 'ai', 'aiMissions', 'bad' || number, $1, 'update', '{"state": "active", "grant": null}', 'd'
         from generate_series(1, 1100) as number`,
      [unlucky.userId],
    );
    await insertMission('good');
    const { database } = harness.projection;
    const asUser: Database['asUser'] = (userId, work) =>
      userId === unlucky.userId ? Promise.reject(new Error('no')) : database.asUser(userId, work);
    const failing = { ...harness.projection, database: { ...database, asUser } };
    // A page has its time: a busy machine may need several.
    let changes = 0;
    while (changes === 0) changes = (await projectChanges(failing)).changes;
    expect(changes).toBe(1);
    expect(await projectChanges(failing)).toEqual({ projected: true, changes: 0, records: 0 });
    expect(await snapshots()).toEqual({ good: 1 });
    // Once they can be projected, they are.
    expect((await project()).changes).toBeGreaterThan(1);
  });

  it('are none that could not be read because the connection ended: nothing says that they are too large', async () => {
    const applicationName = 'ended-under-way';
    const database = openDatabase({
      ...{ url: harness.databases.urls.projection.sync, applicationName, maxConnections: 2 },
      around: async (text, work) => {
        if (text.includes('with followed as'))
          await superuser(
            `select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1`,
            [applicationName],
          );
        return work();
      },
    });
    await insertMission('m1');
    await expect(projectChanges({ ...harness.projection, database })).rejects.toBeInstanceOf(
      DatabaseUnavailableError,
    );
    await database.close();
    expect(harness.projection.warnings).toEqual([]);
    await project();
    expect(await snapshots()).toHaveProperty('m1');
  });

  it('are none that nobody could read for want of a column: they do not count as projected', async () => {
    const rename = (from: string, to: string) =>
      superuser(`alter table public.sync_changes rename column ${from} to ${to}`);
    await insertMission('m1');
    await rename('space_id', 'space_id_of_another_version');
    try {
      await expect(project()).rejects.toMatchObject({ code: '42703' });
    } finally {
      await rename('space_id_of_another_version', 'space_id');
    }
    await project();
    expect(await snapshots()).toHaveProperty('m1');
    expect(harness.projection.warnings).toEqual([]);
  });

  it('are none whose times are older than the database takes', async () => {
    const daily = { state: 'active', cadence: { kind: 'daily', atHour: 8, atMinute: 0 } };
    await harness.webApp.insertRow(user.userId, {
      ...{ ...missionAt('m1'), op: 'update', data: { ...daily, nextRunAt: '2026-05-04T06:00:00.000Z' } },
      fieldMeta: { nextRunAt: '0000-01-01T00:00:00Z' },
    });
    await insertMission('m2');
    expect(await project()).toMatchObject({ changes: 2 });
    expect(harness.projection.warnings).toEqual([]);
  });

  it('stop no other record when it is the database that refuses them', async () => {
    const refuse = `alter table mana_ai.mission_snapshots add constraint refused check (mission_id <> 'refused')`;
    await superuser(refuse);
    try {
      for (const id of ['m1', 'refused', 'm2']) await insertMission(id);
      expect(await project()).toMatchObject({ changes: 2 });
      expect(harness.projection.warnings).toMatchObject([{ missionId: 'refused' }]);
    } finally {
      await superuser('alter table mana_ai.mission_snapshots drop constraint refused');
    }
    expect(await project()).toMatchObject({ changes: 1 });
    expect(await snapshots()).toEqual({ m1: 1, m2: 1, refused: 1 });
  });

  it('are none whose id is longer than any index takes', async () => {
    // Just short enough for the indexes of mana-sync, and with the user's id too long for ours.
    const missionId = randomBytes(2_001).toString('base64');
    await insertMission(missionId);
    await insertMission('good');
    expect(await project()).toMatchObject({ changes: 2 });
    expect(harness.projection.warnings).toEqual([]);
    expect(await snapshots()).toEqual({ good: 1 });
  });

  it.each<[string, Readonly<Record<string, unknown>>]>([
    ['a cadence of another type', { cadence: 'daily' }],
    ['an agent that is an object', { agentId: { a: 1 } }],
    ['a state of another type', { state: ['active'] }],
    ['a nextRunAt far in the past', { nextRunAt: '0001-01-01T00:00:00Z' }],
    ['a nextRunAt at the end of time', { nextRunAt: '9999-12-31T23:59:59.999Z' }],
    ['iterations that are no list', { iterations: { 0: 'x' } }],
    ['a grant that is a list', { grant: [[]] }],
  ])('are none that hold %s', async (_, fields) => {
    await insertMission('m1', fields);
    expect(await project()).toMatchObject({ changes: 1 });
    expect(harness.projection.warnings).toEqual([]);
    expect(await snapshots()).toEqual({ m1: 1 });
  });

  it.each([[5], ['text'], [[]], [null], [true]])('are none whose data is %j', async (data) => {
    for (const op of ['insert', 'update', 'delete', 'upsert', '']) {
      await harness.webApp.insertRow(user.userId, { ...missionAt('m1'), op, data, fieldMeta: data });
    }
    await harness.webApp.insertRow(user.userId, { ...missionAt(''), op: 'insert', data: MISSION });
    await insertMission('m2', { iterations: [] });
    await project();
    expect(harness.projection.warnings).toEqual([]);
    expect(await snapshots()).toMatchObject({ '': 1, m2: 1 });
  });
});

describe('readBackOf', () => {
  const MINUTE_MS = 60_000;
  const now = Date.parse('2026-05-04T12:00:00.000Z');
  const cursor = (minutesSince30: number, minutesSince25h: number) =>
    readBackOf({
      nowMs: now,
      readBack30MinutesAtMs: now - minutesSince30 * MINUTE_MS,
      readBack25HoursAtMs: now - minutesSince25h * MINUTE_MS,
    });

  it.each([
    ['2 minutes on each pass', 4.9, 59.9, 2],
    ['30 minutes every 5', 5, 59.9, 30],
    ['25 hours every hour', 5, 60, 25 * 60],
    ['25 hours at first', Infinity, Infinity, 25 * 60],
    ['25 hours after the clock was set back', 5, -1, 25 * 60],
  ])('reads back %s', (_, since30, since25h, minutes) => {
    expect(cursor(since30, since25h).backMs / MINUTE_MS).toBe(minutes);
  });
});

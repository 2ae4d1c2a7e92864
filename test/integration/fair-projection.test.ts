import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { PAGE_SIZE, projectChanges } from '#activities/projection/project-changes.ts';
import { readPendingMissions, readPendingUsers } from '#db/schedule-state.ts';
import { missionAt, type WebAppUser } from '#dev/web-app.ts';
import { formatInstant } from '#domain/base/instant.ts';
import { RUNNER_CLIENT_ID } from '#domain/wire/rows.ts';
import { createActivityHarness, type ActivityHarness } from '#test/support/activity-dependencies.ts';
import { query } from '#test/support/inspect.ts';

let harness: ActivityHarness;
let mallory: WebAppUser;
let victim: WebAppUser;
beforeAll(async () => {
  harness = await createActivityHarness('fair-projection-test');
});
beforeEach(async () => {
  await superuser(
    `truncate public.sync_changes, mana_ai.mission_snapshots, mana_ai.projected_changes, mana_ai.projection_backlogs`,
  );
  await superuser(
    `update mana_ai.projection_cursor set read_until = '-infinity', read_back_30_minutes_at = '-infinity',
       read_back_25_hours_at = '-infinity', page_end_id = null`,
  );
  harness.projection.healings.length = 0;
  harness.projection.warnings.length = 0;
  [mallory, victim] = [await harness.webApp.createUser(), await harness.webApp.createUser()];
});
afterAll(() => harness.close());

const superuser = (text: string, values: readonly unknown[] = []) =>
  query(harness.databases.superuser.syncUrl, text, values);
const project = () => projectChanges(harness.projection);
const projectAll = async (): Promise<void> => {
  while ((await project()).changes > 0);
};
const isKnown = async (missionId: string): Promise<boolean> =>
  (await superuser('select from mana_ai.mission_snapshots where mission_id = $1', [missionId])).length > 0;
const countKnown = async (user: WebAppUser): Promise<unknown> =>
  (
    await superuser('select count(*)::int as count from mana_ai.mission_snapshots where user_id = $1', [
      user.userId,
    ])
  )[0]?.['count'];

/** Rows of Mallory; `data` is an SQL expression over `n`. */
const plant = (rows: number, data: string, recordId = `'m' || n`, op = 'insert') =>
  superuser(
    `insert into public.sync_changes (app_id, table_name, record_id, user_id, op, data, client_id, created_at)
     select 'ai', 'aiMissions', ${recordId}, $1, '${op}', ${data}, 'd', clock_timestamp()
     from generate_series(1, $2::int) n`,
    [mallory.userId, rows],
  );
const MISSION = `'{"state": "active", "cadence": {"kind": "interval", "everyMinutes": 30}}'::jsonb`;
const insertVictim = () => harness.webApp.insert(victim, missionAt('victim'), { state: 'active' });

describe('the rows of a user who fills page after page', () => {
  it('keep nobody waiting for more than a page, and are all taken in', async () => {
    await plant(20 * PAGE_SIZE, MISSION);
    await insertVictim();
    await project();
    await project();
    expect(await isKnown('victim')).toBe(true);
    await projectAll();
    expect(await countKnown(mallory)).toBe(20 * PAGE_SIZE);
    expect(await superuser('select from mana_ai.projection_backlogs')).toEqual([]);
  });

  it('that became visible late are found as well, while those turns last and after', async () => {
    await plant(3 * PAGE_SIZE, MISSION);
    await project();
    await plant(1, MISSION, `'late'`);
    await superuser(
      `update public.sync_changes set created_at = now() - interval '1 hour' where record_id = 'late'`,
    );
    await projectAll();
    expect(await isKnown('late')).toBe(true);
  });

  it('do not take the cursor past rows of others that were not read yet', async () => {
    await superuser(
      `insert into public.sync_changes (app_id, table_name, record_id, user_id, op, data, client_id, created_at)
       select 'ai', 'aiMissions', 'old' || n, 'user-' || n, 'insert', ${MISSION}, 'd', now() - interval '30 days' + n * interval '1 second'
       from generate_series(1, $1::int) n`,
      [3 * PAGE_SIZE],
    );
    // The first page is Mallory's, up to a day ago; those of the others lie between.
    await superuser(
      `insert into public.sync_changes (app_id, table_name, record_id, user_id, op, data, client_id, created_at)
       select 'ai', 'aiMissions', 'm' || n, $1, 'insert', ${MISSION}, 'd',
         now() - case when n <= $2::int then interval '31 days' else interval '1 day' end + n * interval '1 second'
       from generate_series(1, $2::int + 50) n`,
      [mallory.userId, PAGE_SIZE],
    );
    await projectAll();
    const [others] = await superuser(
      `select count(*)::int as count from mana_ai.mission_snapshots where mission_id like 'old%'`,
    );
    expect(others).toEqual({ count: 3 * PAGE_SIZE });
    expect(await countKnown(mallory)).toBe(PAGE_SIZE + 50);
  });
});

/** JSON of a text of so many bytes that no compression makes smaller. */
const noise = (bytes: number): string =>
  `(select string_agg(md5(n::text || i), '') from generate_series(1, ${Math.ceil(bytes / 32)}) i)`;

describe('large rows', () => {
  it('of one user are taken in turn, and are known', async () => {
    await plant(6, `${MISSION} || jsonb_build_object('title', ${noise(2_500_000)})`);
    await insertVictim();
    await project();
    expect(await isKnown('victim')).toBe(true);
    expect(await countKnown(mallory)).toBe(1);
    await projectAll();
    expect(await countKnown(mallory)).toBe(6);
    expect(harness.projection.warnings).toEqual([]);
  });

  it('beyond the limit are passed over, named by their ids only, and keep nobody waiting', async () => {
    await plant(4, `${MISSION} || jsonb_build_object('title', ${noise(12_000_000)})`);
    await insertVictim();
    await project();
    expect(await isKnown('victim')).toBe(true);
    expect(await countKnown(mallory)).toBe(0);
    expect(harness.projection.warnings).toHaveLength(4);
    expect(harness.projection.warnings[0]).toMatchObject({
      message: 'too large to be projected; it is passed over',
      ...{ table: 'aiMissions', userId: mallory.userId, missionId: 'm1', what: 'row' },
    });
    expect(JSON.stringify(harness.projection.warnings).length).toBeLessThan(2_000);
    expect(await project()).toMatchObject({ changes: 0 });
  });

  it('that compression hides are read as far as they fit, page by page', async () => {
    // Some 40 kB each where they are stored.
    await plant(
      12,
      `${MISSION} || jsonb_build_object('iterations', jsonb_build_array(jsonb_build_object('id', 'i', 'plan', '[]'::jsonb, 'summary', repeat('x', 3500000))))`,
    );
    await insertVictim();
    await projectAll();
    expect(await countKnown(mallory)).toBe(12);
    expect(await isKnown('victim')).toBe(true);
    expect(harness.projection.warnings).toEqual([]);
  });

  it('lose their iterations only, where those alone are too large', async () => {
    await plant(
      1,
      `${MISSION} || jsonb_build_object('iterations', jsonb_build_array(jsonb_build_object('id', 'i', 'plan', '[]'::jsonb, 'summary', repeat('x', 5000000))))`,
    );
    await projectAll();
    const [known] = await superuser('select state, cadence from mana_ai.mission_snapshots');
    expect(known).toEqual({ state: 'active', cadence: { kind: 'interval', everyMinutes: 30 } });
    expect(harness.projection.warnings).toMatchObject([{ missionId: 'm1', what: 'iterations' }]);
  });

  it('of a hundred thousand field names are passed over', async () => {
    await plant(
      1,
      `${MISSION} || (select jsonb_object_agg('field-' || i, 1) from generate_series(1, 100000) i)`,
    );
    await insertVictim();
    await projectAll();
    expect(await isKnown('victim')).toBe(true);
    expect(harness.projection.warnings).toMatchObject([{ missionId: 'm1', what: 'row' }]);
  });

  it('do not make what is kept of a mission grow without end, and stay healed', async () => {
    const ours = { id: 'ours', source: 'server', overallStatus: 'approved', plan: [] };
    await harness.webApp.insertRow(mallory.userId, {
      ...{ ...missionAt('m'), op: 'update', clientId: RUNNER_CLIENT_ID },
      data: { iterations: [ours] },
      fieldMeta: { iterations: formatInstant(Date.now() - 1_000) },
    });
    const plan = Array.from({ length: 20_000 }, (_, index) => ({ id: `step-${index}`, status: 'planned' }));
    for (let edit = 0; edit < 3; edit += 1) {
      await harness.webApp.update(mallory, missionAt('m'), { iterations: [{ id: `own-${edit}`, plan }] });
      await projectAll();
    }
    expect(harness.projection.healings).toHaveLength(3);
    const [kept] = await superuser(
      'select octet_length(merge_state::text) as bytes from mana_ai.mission_snapshots',
    );
    expect(kept?.['bytes']).toBeLessThan(10_000);
  });
});

describe('schedules that are out of date', () => {
  const snapshots = (user: string, count: number) =>
    superuser(
      `insert into mana_ai.mission_snapshots (user_id, mission_id, exists_now, state, cadence)
       select $1, 'm' || n, true, 'active', '{"kind": "interval", "everyMinutes": 30}' from generate_series(1, $2::int) n`,
      [user, count],
    );

  it('are brought up to date user by user', async () => {
    await snapshots('a-many', 5_000);
    await snapshots('b-few', 3);
    await snapshots('c-one', 1);
    const { system } = harness.projection.database;
    const users = await readPendingUsers(system, '', 10);
    expect(users).toEqual(['a-many', 'b-few', 'c-one']);
    expect(await readPendingUsers(system, 'b-few', 10)).toEqual(['c-one']);
    const batch = await readPendingMissions(system, users, 10);
    const counts = users.map((user) => batch.filter(({ userId }) => userId === user).length);
    expect(counts).toEqual([6, 3, 1]);
  });

  it('of more missions than a user may have are none', async () => {
    await snapshots('many', 501);
    await superuser(
      `update mana_ai.mission_snapshots set applied_schedule = '{}' where mission_id <> 'm501'`,
    );
    const { system } = harness.projection.database;
    const batch = await readPendingMissions(system, ['many'], 501);
    expect(batch.filter(({ isOverLimit }) => isOverLimit).map(({ missionId }) => missionId)).toEqual([
      'm501',
    ]);
  });
});

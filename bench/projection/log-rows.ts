import type { Client } from 'pg';
import { withClient } from '#dev/platform-schema.ts';

/** Of a hundred rows of the log, so many are of missions. */
const MISSION_ROWS_PERCENT = 2;
/** One that creates it, the others move it on. */
const ROWS_PER_MISSION = 4;
const ROWS_PER_STATEMENT = 100_000;

/** Ids of missions and users are made from their number, so that later rows can name them. */
const missionId = (number: string): string => `md5('mission-' || (${number}))::uuid::text`;
const userId = (number: string): string => `'user-' || md5('user-' || ((${number}) / 5))`;

const iso = (instant: string): string =>
  `to_char((${instant}) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

/** The day after tomorrow: nothing becomes due while we measure. */
const nextRunAt = iso(`date_trunc('day', now()) + interval '2 days 8 hours'`);
/** Another instant each time. */
const movedNextRunAt = iso(
  `date_trunc('day', now()) + interval '3 days' + interval '1 millisecond' * floor(random() * 36000000)`,
);

const missionRecord = (number: string): string => `jsonb_build_object(
  'id', ${missionId(number)}, 'createdAt', ${iso('now()')}, 'title', 'Weekly plan', 'conceptMarkdown', repeat('concept ', 20),
  'objective', repeat('objective ', 10), 'state', 'active',
  'cadence', '{"kind": "daily", "atHour": 8, "atMinute": 0}'::jsonb, 'nextRunAt', ${nextRunAt},
  'inputs', '[]'::jsonb, 'iterations', '[]'::jsonb)`;

/** What a run writes back, with one iteration. */
const movedOn = (
  summary: string,
): string => `jsonb_build_object('nextRunAt', ${movedNextRunAt}, 'iterations', jsonb_build_array(
  jsonb_build_object('id', gen_random_uuid(), 'plan', '[]'::jsonb, 'overallStatus', 'approved', 'summary', ${summary})))`;

const movedOnMeta = `jsonb_build_object('nextRunAt', ${iso('clock_timestamp()')}, 'iterations', ${iso('clock_timestamp()')})`;

/**
 * Fills a log with so many rows of the last 30 days, evenly: 2 % rows of daily missions (four of each mission), the others
 * encrypted notes, tasks and events of the same users.
 *
 * @param superuserUrl of the database; row-level security would refuse the rows of many users
 */
export const fillLog = (superuserUrl: string, rows: number): Promise<void> =>
  withClient(superuserUrl, async (client) => {
    for (let from = 1; from <= rows; from += ROWS_PER_STATEMENT) {
      await insertRows(client, from, Math.min(rows, from + ROWS_PER_STATEMENT - 1), rows);
    }
    await client.query('vacuum analyze public.sync_changes');
  });

/** How many missions a log of so many rows has. */
export const missionsOf = (rows: number): number =>
  Math.max(1, Math.floor((rows * MISSION_ROWS_PERCENT) / 100 / ROWS_PER_MISSION));

async function insertRows(client: Client, from: number, to: number, rows: number): Promise<void> {
  const everyNth = 100 / MISSION_ROWS_PERCENT;
  const createdAt = `now() - interval '1 minute' - interval '30 days' * ((${rows} - n)::float8 / ${rows})`;
  const row = `n / ${everyNth} % ${missionsOf(rows)}`;
  await client.query(
    `insert into public.sync_changes
       (app_id, table_name, record_id, user_id, op, data, field_meta, client_id, created_at, actor, origin)
     select 'ai', 'aiMissions', ${missionId(row)}, ${userId(row)},
       case when n / ${everyNth} <= ${missionsOf(rows)} then 'insert' else 'update' end,
       case when n / ${everyNth} <= ${missionsOf(rows)} then ${missionRecord(row)} else ${movedOn(`n::text`)} end,
       case when n / ${everyNth} <= ${missionsOf(rows)} then '{}'::jsonb else ${movedOnMeta} end,
       'device-1', ${createdAt}, '{"kind": "user"}'::jsonb, 'user'
     from generate_series($1::int, $2::int) n where n % ${everyNth} = 0`,
    [from, to],
  );
  await client.query(
    `insert into public.sync_changes
       (app_id, table_name, record_id, user_id, op, data, field_meta, client_id, created_at, actor, origin)
     select (array['notes', 'todo', 'calendar'])[1 + n % 3], (array['notes', 'tasks', 'events'])[1 + n % 3],
       md5('record-' || n / 3)::uuid::text, ${userId(row)}, case when n % 3 = 0 then 'insert' else 'update' end,
       jsonb_build_object('title', 'enc:1:' || md5(n::text), 'content', 'enc:1:' || repeat(md5(n::text), 6)),
       '{}'::jsonb, 'device-1', ${createdAt}, '{"kind": "user"}'::jsonb, 'user'
     from generate_series($1::int, $2::int) n where n % ${everyNth} <> 0`,
    [from, to],
  );
}

/**
 * So many new daily missions, one `insert` row each, numbered from `from` on.
 *
 * @returns their ids
 */
export async function insertMissions(client: Client, from: number, count: number): Promise<string[]> {
  const { rows } = await client.query<{ id: string }>(
    `insert into public.sync_changes
       (app_id, table_name, record_id, user_id, op, data, client_id, created_at, actor, origin)
     select 'ai', 'aiMissions', ${missionId('n')}, ${userId('n')}, 'insert', ${missionRecord('n')}, 'device-1',
       clock_timestamp(), '{"kind": "user"}'::jsonb, 'user'
     from generate_series($1::int, $2::int) n
     returning record_id as id`,
    [from, from + count - 1],
  );
  return rows.map(({ id }) => id);
}

/** One more `update` row for each of so many missions, from number `from` on. */
export const updateMissions = async (client: Client, from: number, count: number): Promise<void> => {
  await client.query(
    `insert into public.sync_changes
       (app_id, table_name, record_id, user_id, op, data, field_meta, client_id, created_at, actor, origin)
     select 'ai', 'aiMissions', ${missionId('n')}, ${userId('n')}, 'update', ${movedOn(`'again'`)}, ${movedOnMeta},
       'device-1', clock_timestamp(), '{"kind": "user"}'::jsonb, 'user'
     from generate_series($1::int, $2::int) n`,
    [from, from + count - 1],
  );
};

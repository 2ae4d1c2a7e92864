import type { BenchMission } from '#bench/system.ts';
import { withClient } from '#dev/platform-schema.ts';

const ITERATION = `jsonb_build_object(
  'id', md5('iteration-' || k)::uuid, 'startedAt', '2026-01-01T08:00:00.000Z', 'finishedAt', '2026-01-01T08:00:20.000Z',
  'summary', 'One task is planned.', 'overallStatus', 'approved', 'source', 'server', 'plan', jsonb_build_array(
    jsonb_build_object('id', md5('step-' || k)::uuid, 'summary', 'Create the task Pack the tent', 'status', 'approved',
      'intent', '{"kind": "toolCall", "toolName": "create_task", "params": {"title": "Pack the tent"}}'::jsonb)))`;

/** What so many runs of a mission have left in the log: two rows each, with the whole array, as runs write them. */
export const writeHistory = (
  superuserUrl: string,
  { user, missionId }: BenchMission,
  runs: number,
): Promise<void> =>
  withClient(superuserUrl, async (client) => {
    await client.query(
      `insert into public.sync_changes
         (app_id, table_name, record_id, user_id, op, data, field_meta, client_id, created_at, actor, origin)
       select 'ai', 'aiMissions', $1, $2, 'update',
         jsonb_build_object('iterations', (select jsonb_agg(${ITERATION} order by k) from generate_series(1, n) k)),
         jsonb_build_object('iterations', to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')),
         'mana-ai-runner', at, '{"kind": "system"}'::jsonb, 'system'
       from generate_series(1, $3::int) n, generate_series(0, 1) part,
         lateral (select clock_timestamp() - interval '1 second' * ($3 - n) + interval '100 ms' * part - interval '1 minute') moment (at)`,
      [missionId, user.userId, runs],
    );
    await client.query('vacuum analyze public.sync_changes');
  });

/** A log of so many rows, evenly of so many users. */
export const fillUsers = (superuserUrl: string, users: number, rows: number): Promise<void> =>
  withClient(superuserUrl, async (client) => {
    await client.query(
      `insert into public.sync_changes
         (app_id, table_name, record_id, user_id, op, data, client_id, created_at, actor, origin)
       select 'notes', 'notes', md5('note-' || n)::uuid::text, 'user-' || md5('user-' || n % $1::int), 'insert',
         jsonb_build_object('content', 'enc:1:' || repeat(md5(n::text), 6)), 'device-1',
         now() - interval '1 second' * n, '{"kind": "user"}'::jsonb, 'user'
       from generate_series(1, $2::int) n`,
      [users, rows],
    );
    await client.query('vacuum analyze public.sync_changes');
  });

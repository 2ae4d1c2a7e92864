import { Client } from 'pg';
import { follow } from './initial-build.ts';
import { openProjectionDatabase, projectionDeps } from './projection-deps.ts';
import { quantile } from '#bench/measure.ts';
import type { Findings } from '#bench/results/result.ts';
import { until, withTemporal, type BenchPostgres } from '#bench/servers.ts';
import { followChangeLog } from '#activities/projection/follow.ts';
import { createMissionSchedules } from '#schedules/mission-schedules.ts';
import { MISSION_SEARCH_ATTRIBUTES } from '#temporal/search-attributes.ts';

const TASK_QUEUE = 'bench-without-worker';
/** Instants lie this far ahead when the rows become visible. */
const FIRST_AHEAD_MS = 500;
const LAST_AHEAD_MS = 8_000;
const LONGEST_MS = 120_000;

/**
 * So many missions of as many users, every second with jitter, whose rows become visible together, seconds before their instants: from the
 * instant to the run's start. No worker polls the queue.
 */
export const benchLateSeen = (postgres: BenchPostgres, missions: number): Promise<Findings> =>
  withTemporal({}, async ({ client }) => {
    const databases = await postgres.newDatabases();
    const writer = new Client({ connectionString: databases.superuser.syncUrl });
    await writer.connect();
    const database = openProjectionDatabase(databases);
    const schedules = createMissionSchedules({ client, taskQueue: TASK_QUEUE });
    const stop = new AbortController();
    const deps = projectionDeps(database, schedules);
    const following = follow(() => followChangeLog(deps, stop.signal), stop.signal);
    try {
      const instants = await insertLateMissions(writer, missions);
      const startedAtMs = new Map<string, number>();
      const allStarted = async (): Promise<boolean> => {
        for await (const { typedSearchAttributes, startTime } of client.workflow.list()) {
          const id = typedSearchAttributes.get(MISSION_SEARCH_ATTRIBUTES.missionId);
          const before = id === undefined ? undefined : startedAtMs.get(id);
          if (id !== undefined) startedAtMs.set(id, Math.min(before ?? Infinity, startTime.getTime()));
        }
        return startedAtMs.size >= missions;
      };
      await Promise.race([until('all runs have started', allStarted, LONGEST_MS), following]);
      const lags = [...instants].map(([id, instantMs]) => ((startedAtMs.get(id) ?? NaN) - instantMs) / 1000);
      const [least, p50, p99, most] = [0, 0.5, 0.99, 1].map((share) => quantile(lags, share));
      return {
        settings: { 'visible before the instant (ms)': `${FIRST_AHEAD_MS} to ${LAST_AHEAD_MS}` },
        tables: [
          {
            title: `From instant to start, of ${missions} missions of as many users that become visible seconds before`,
            header: ['missions', 'least (s)', 'p50 (s)', 'p99 (s)', 'most (s)'],
            rows: [[lags.length, ...([least, p50, p99, most] as number[])]],
          },
        ],
        aims: [{ what: 'Instant to start, longest (s)', found: most ?? NaN, atMost: 30 }],
      };
    } finally {
      stop.abort();
      await following;
      await Promise.all([database.close(), writer.end()]);
    }
  });

/** @returns the instant of each mission, in epoch milliseconds */
async function insertLateMissions(writer: Client, missions: number): Promise<Map<string, number>> {
  const { rows } = await writer.query<{ id: string; instant: string }>(
    `insert into public.sync_changes
       (app_id, table_name, record_id, user_id, op, data, client_id, created_at, actor, origin)
     select 'ai', 'aiMissions', gen_random_uuid(), 'user-' || n, 'insert', jsonb_build_object(
         'title', 'Late', 'objective', 'Soon', 'state', 'active', 'inputs', '[]'::jsonb, 'iterations', '[]'::jsonb,
         'cadence', case when n % 2 = 0 then jsonb_build_object('kind', 'interval', 'everyMinutes', 1440)
           else jsonb_build_object('kind', 'weekly', 'dayOfWeek', 1, 'atHour', 8) end,
         'nextRunAt', to_char((clock_timestamp() + interval '1 millisecond' * ($2::int + ($3::int - $2::int) * n / $1::int))
           at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')),
       'device-1', clock_timestamp(), '{"kind": "user"}'::jsonb, 'user'
     from generate_series(1, $1::int) n
     returning record_id as id, data ->> 'nextRunAt' as instant`,
    [missions, FIRST_AHEAD_MS, LAST_AHEAD_MS],
  );
  return new Map(rows.map(({ id, instant }) => [id, Date.parse(instant)]));
}

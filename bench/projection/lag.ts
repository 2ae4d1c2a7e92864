import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { follow } from './initial-build.ts';
import { insertMissions } from './log-rows.ts';
import { openProjectionDatabase, projectionDeps } from './projection-deps.ts';
import { quantile } from '#bench/measure.ts';
import type { Findings } from '#bench/results/result.ts';
import { until, withTemporal, type BenchPostgres } from '#bench/servers.ts';
import { followChangeLog } from '#activities/projection/follow.ts';
import { createMissionSchedules, type MissionSchedules } from '#schedules/mission-schedules.ts';

const MEAN_GAP_MS = 150;
const LONGEST_WAIT_MS = 30_000;

type Four = [number, number, number, number];

/** From a mission's row being visible to its schedule existing, while the follower runs and rows come at random. */
export const benchLag = (postgres: BenchPostgres, samples: number): Promise<Findings> =>
  withTemporal({}, async ({ client }) => {
    const databases = await postgres.newDatabases();
    const writer = new Client({ connectionString: databases.superuser.syncUrl });
    await writer.connect();
    const database = openProjectionDatabase(databases);
    const createdAtMs = new Map<string, number>();
    const schedules = createMissionSchedules({ client, taskQueue: 'bench-without-worker' });
    const stop = new AbortController();
    const deps = projectionDeps(database, noting(schedules, createdAtMs));
    const following = follow(() => followChangeLog(deps, stop.signal), stop.signal);
    try {
      const visibleAtMs = await writeAtRandom(writer, samples);
      const allCreated = (): boolean => createdAtMs.size === samples;
      await Promise.race([until('all schedules exist', allCreated, LONGEST_WAIT_MS), following]);
      const lags = [...visibleAtMs].map(([id, visible]) => (createdAtMs.get(id) ?? NaN) - visible);
      const [least, p50, p99, most] = [0, 0.5, 0.99, 1].map((share) => quantile(lags, share)) as Four;
      return {
        settings: { 'mean gap between rows (ms)': MEAN_GAP_MS },
        tables: [
          {
            title: 'From row visible to schedule made',
            header: ['samples', 'least (ms)', 'p50 (ms)', 'p99 (ms)', 'most (ms)'],
            rows: [[lags.length, least, p50, p99, most]],
          },
        ],
        aims: [{ what: 'Row to schedule, p50 (ms)', found: p50, atMost: 250 }],
      };
    } finally {
      stop.abort();
      await following;
      await Promise.all([database.close(), writer.end()]);
    }
  });

/** @returns when each mission's row was committed, as its writer saw it */
async function writeAtRandom(writer: Client, missions: number): Promise<Map<string, number>> {
  const visibleAtMs = new Map<string, number>();
  for (let number = 0; number < missions; number += 1) {
    // Exponential gaps: a row comes at any moment of the follower's turn.
    await delay(-Math.log(1 - Math.random()) * MEAN_GAP_MS);
    const [id = ''] = await insertMissions(writer, number, 1);
    visibleAtMs.set(id, performance.now());
  }
  return visibleAtMs;
}

/** Notes when each mission's schedule was created: the server has answered. */
const noting = (schedules: MissionSchedules, createdAtMs: Map<string, number>): MissionSchedules => ({
  ...schedules,
  ensure: async (schedule, options) => {
    const result = await schedules.ensure(schedule, options);
    if (result === 'created') createdAtMs.set(schedule.missionId, performance.now());
    return result;
  },
});

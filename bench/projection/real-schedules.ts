import { randomUUID } from 'node:crypto';
import { insertMissions } from './log-rows.ts';
import { openProjectionDatabase, projectionDeps } from './projection-deps.ts';
import { quantile } from '#bench/measure.ts';
import type { Findings } from '#bench/results/result.ts';
import { eachOf, withTemporal, type BenchPostgres, type BenchTemporal } from '#bench/servers.ts';
import { applySchedules } from '#activities/projection/apply-schedules.ts';
import { CONCURRENCY } from '#activities/projection/in-parallel.ts';
import { projectChanges } from '#activities/projection/project-changes.ts';
import type { Database } from '#db/client.ts';
import type { PlatformDatabases } from '#dev/databases.ts';
import { withClient } from '#dev/platform-schema.ts';
import { missionScheduleSpec } from '#domain/cadence/schedule-spec.ts';
import { zonedCadence } from '#domain/cadence/zoned-cadence.ts';
import { createMissionSchedules } from '#schedules/mission-schedules.ts';
import { missionScheduleId } from '#schedules/schedule-ids.ts';
import { toScheduleRequest } from '#schedules/schedule-request.ts';

const SLICES = 8;
const WARM_UP = 20;
const TASK_QUEUE = 'bench-without-worker';
const CATCHUP_WINDOW_MS = 600_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const NEVER = new AbortController().signal;

/** Schedules made on a real server: by the projection, and by the bare client, a slice of each in turns. */
export const benchRealSchedules = (postgres: BenchPostgres, schedules: number): Promise<Findings> =>
  withTemporal({}, async (temporal) => {
    const databases = await postgres.newDatabases();
    // One for all turns, as a follower has: its statements are planned once.
    const database = openProjectionDatabase(databases);
    const slice = Math.ceil(schedules / SLICES);
    const [projected, bare]: [number[], number[]] = [[], []];
    const perSecond = (tookMs: number): number => slice / (tookMs / 1000);
    try {
      // Far above the missions that count.
      await byProjection(databases, database, temporal, { from: 1_000_000, count: WARM_UP });
      await byBareClient(temporal, WARM_UP);
      for (let turn = 0; turn < SLICES; turn += 1) {
        const next = { from: turn * slice, count: slice };
        const ours = async (): Promise<unknown> =>
          projected.push(perSecond(await byProjection(databases, database, temporal, next)));
        const theirs = async (): Promise<unknown> =>
          bare.push(perSecond(await byBareClient(temporal, slice)));
        for (const measure of turn % 2 === 0 ? [ours, theirs] : [theirs, ours]) await measure();
      }
    } finally {
      await database.close();
    }
    const ratio = quantile(projected, 0.5) / quantile(bare, 0.5);
    return {
      settings: { 'schedules by each': slice * SLICES, turns: SLICES, 'calls at a time': CONCURRENCY },
      tables: [
        {
          title: "Schedules made on Temporal's development server, in turns",
          header: ['by', 'schedules a second', 'ratio to the bare client'],
          rows: [
            ['bare client: schedule.create', bare, 1],
            ['projection: applySchedules', projected, ratio],
          ],
        },
      ],
      aims: [
        { what: 'Schedules by the projection, as ratio to the bare client', found: ratio, atLeast: 0.95 },
      ],
    };
  });

/** @returns how long the schedules took; the missions were projected before */
async function byProjection(
  databases: PlatformDatabases,
  database: Database,
  { client }: BenchTemporal,
  { from, count }: { readonly from: number; readonly count: number },
): Promise<number> {
  await withClient(databases.superuser.syncUrl, (superuser) => insertMissions(superuser, from, count));
  const schedules = createMissionSchedules({
    ...{ client, taskQueue: TASK_QUEUE, catchupWindowMs: CATCHUP_WINDOW_MS },
  });
  const deps = projectionDeps(database, schedules);
  while ((await projectChanges(deps)).changes > 0);
  const startedMs = performance.now();
  const { changed } = await applySchedules(deps, NEVER);
  if (changed !== count) throw new Error(`applySchedules: made ${changed} schedules, expected ${count}`);
  return performance.now() - startedMs;
}

async function byBareClient({ client, codecKeys }: BenchTemporal, count: number): Promise<number> {
  const requests = Array.from({ length: count }, () => bareRequest(codecKeys.primaryKeyId));
  const startedMs = performance.now();
  await eachOf(requests, CONCURRENCY, (request) => client.schedule.create(request));
  return performance.now() - startedMs;
}

/** What the projection sends for a mission of `insertMissions`, whose user named no zone. */
function bareRequest(codecKeyId: string) {
  const [userId, missionId] = [randomUUID(), randomUUID()];
  const nextRunAtMs = Math.floor(Date.now() / DAY_MS + 2) * DAY_MS + 8 * HOUR_MS;
  const spec = missionScheduleSpec({
    ...zonedCadence({ kind: 'daily', atHour: 8, atMinute: 0 }, null),
    nextRunAtMs,
  });
  if (spec === null) throw new Error('a daily mission has a schedule');
  const settings = { taskQueue: TASK_QUEUE, catchupWindowMs: CATCHUP_WINDOW_MS, codecKeyId };
  const request = toScheduleRequest({ userId, missionId, agentId: null, spec }, settings);
  return { ...request, scheduleId: missionScheduleId(userId, missionId) };
}

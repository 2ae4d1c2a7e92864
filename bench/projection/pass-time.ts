import { Client } from 'pg';
import { fillLog, insertMissions, missionsOf, updateMissions } from './log-rows.ts';
import { openProjectionDatabase, POOL_SIZE, projectionDeps, recordingSchedules } from './projection-deps.ts';
import { measure, timingTable, type Timing, type Variant } from '#bench/measure.ts';
import type { Findings } from '#bench/results/result.ts';
import type { BenchPostgres } from '#bench/servers.ts';
import { applySchedules } from '#activities/projection/apply-schedules.ts';
import type { ProjectionDependencies } from '#activities/projection/dependencies.ts';
import { projectChanges } from '#activities/projection/project-changes.ts';
import type { PlatformDatabases } from '#dev/databases.ts';
import { withClient } from '#dev/platform-schema.ts';

export interface PassTimeSizes {
  /** Rows of each log, the smallest first. */
  readonly logs: readonly number[];
  readonly samples: number;
  readonly warmUps: number;
}

export const FULL: PassTimeSizes = { logs: [10_000, 100_000, 1_000_000], samples: 30, warmUps: 5 };
export const SMALL: PassTimeSizes = { logs: [1_000, 5_000], samples: 5, warmUps: 1 };

const NEW_ROWS = 100;
/** An idle pass takes little more than nothing: more of them cost as little. */
const IDLE_PASSES_PER_SAMPLE = 10;
/** Far above the numbers of the log's own missions. */
const FIRST_NEW_MISSION = 10_000_000;
const NEVER = new AbortController().signal;

interface Log {
  readonly name: string;
  readonly rows: number;
  readonly databases: PlatformDatabases;
}

/** A pass of the follower over logs of several lengths, in turns: with nothing to do, and with 100 new rows. */
export async function benchPassTime(postgres: BenchPostgres, sizes: PassTimeSizes): Promise<Findings> {
  const logs: Log[] = [];
  for (const rows of sizes.logs) {
    const databases = await postgres.newDatabases();
    await fillLog(databases.superuser.syncUrl, rows);
    logs.push({ name: `${rows.toLocaleString('en')} rows`, rows, databases });
  }
  for (const log of logs) await buildUp(log);
  const replanned = await measureIdle(logs, 'force_custom_plan', sizes);
  const idle = await measureIdle(logs, 'auto', sizes);
  const busy = await measureBusy(logs, sizes);
  const first = logs[0]?.name ?? '';
  return {
    settings: { 'missions among the rows (%)': 2, 'connections a pool': POOL_SIZE },
    tables: [
      timingTable('A pass with nothing due and nothing new', idle, [first]),
      // Of short logs the server keeps a plan, for long ones it plans each time: half a millisecond that hides the rest.
      timingTable('The same, planned anew each time on all logs', replanned, [first]),
      timingTable(
        `A pass with ${NEW_ROWS} new rows (${NEW_ROWS / 2} new missions, ${NEW_ROWS / 2} changed ones)`,
        busy,
        [first],
      ),
    ],
    aims: [
      { what: 'An idle pass over the longest log (ms)', found: idle.at(-1)?.medianMs ?? NaN, atMost: 10 },
      {
        what: 'A pass with new rows, longest log to shortest',
        ...{ found: (busy.at(-1)?.medianMs ?? NaN) / (busy[0]?.medianMs ?? NaN), atMost: 1.5 },
      },
    ],
  };
}

/** Takes in the whole log. */
async function buildUp({ databases }: Log): Promise<void> {
  const database = openProjectionDatabase(databases);
  const deps = projectionDeps(database, recordingSchedules());
  let changes: number;
  do {
    ({ changes } = await projectChanges(deps));
    await applySchedules(deps, NEVER);
  } while (changes > 0);
  await database.close();
}

/**
 * What the follower does in a turn.
 *
 * @throws Error unless exactly so many rows, each of another mission, were taken in and applied
 */
async function pass(deps: ProjectionDependencies, rows: number): Promise<void> {
  const { changes } = await projectChanges(deps);
  const { applied } = await applySchedules(deps, NEVER);
  if (changes !== rows || applied !== rows)
    throw new Error(`pass: found ${changes} rows and applied ${applied} missions, expected ${rows}`);
}

/** @param planCacheMode PostgreSQL's setting: `auto` is the default */
async function measureIdle(
  logs: readonly Log[],
  planCacheMode: 'auto' | 'force_custom_plan',
  sizes: PassTimeSizes,
): Promise<Timing[]> {
  for (const { databases } of logs) {
    await withClient(databases.superuser.syncUrl, async (client) => {
      await client.query('vacuum analyze');
      await client.query(`alter role projection_user set plan_cache_mode = ${planCacheMode}`);
    });
  }
  const pools = logs.map(({ databases }) => openProjectionDatabase(databases));
  const variants = logs.map(({ name }, index): Variant => {
    const deps = projectionDeps(at(pools, index), recordingSchedules());
    return { name, run: () => pass(deps, 0) };
  });
  const samples = sizes.samples * IDLE_PASSES_PER_SAMPLE;
  const timings = await measure(variants, { ...sizes, samples });
  await Promise.all(pools.map((pool) => pool.close()));
  return timings;
}

async function measureBusy(logs: readonly Log[], sizes: PassTimeSizes): Promise<Timing[]> {
  const pools = logs.map(({ databases }) => openProjectionDatabase(databases));
  const writers = logs.map(({ databases }) => new Client({ connectionString: databases.superuser.syncUrl }));
  await Promise.all(writers.map((writer) => writer.connect()));
  const fewestMissions = Math.min(...logs.map(({ rows }) => missionsOf(rows)));
  const changed = Math.min(NEW_ROWS / 2, fewestMissions);
  const variants = logs.map(({ name }, index): Variant => {
    const deps = projectionDeps(at(pools, index), recordingSchedules());
    let next = FIRST_NEW_MISSION;
    return {
      name,
      prepare: async () => {
        await insertMissions(at(writers, index), next, NEW_ROWS - changed);
        await updateMissions(at(writers, index), 0, changed);
        next += NEW_ROWS;
      },
      run: () => pass(deps, NEW_ROWS),
    };
  });
  const timings = await measure(variants, sizes);
  await Promise.all([...pools.map((pool) => pool.close()), ...writers.map((writer) => writer.end())]);
  return timings;
}

function at<T>(values: readonly T[], index: number): T {
  const value = values[index];
  if (value === undefined) throw new RangeError(`found no value ${index}`);
  return value;
}

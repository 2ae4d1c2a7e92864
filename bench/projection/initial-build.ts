import { insertMissions } from './log-rows.ts';
import { openProjectionDatabase, POOL_SIZE, projectionDeps, recordingSchedules } from './projection-deps.ts';
import type { Findings } from '#bench/results/result.ts';
import { until, type BenchPostgres } from '#bench/servers.ts';
import { followChangeLog } from '#activities/projection/follow.ts';
import { countPendingMissions } from '#db/schedule-state.ts';
import { withClient } from '#dev/platform-schema.ts';

const SAMPLE_EVERY_MS = 50;
const LONGEST_MS = 3_600_000;
const MIB = 2 ** 20;

/** The follower takes in so many missions for the first time, with a schedule client that only records. */
export async function benchInitialBuild(postgres: BenchPostgres, missions: number): Promise<Findings> {
  const databases = await postgres.newDatabases();
  await withClient(databases.superuser.syncUrl, async (client) => {
    await insertMissions(client, 0, missions);
    await client.query('vacuum analyze public.sync_changes');
  });
  const database = openProjectionDatabase(databases);
  const schedules = recordingSchedules();
  const deps = projectionDeps(database, schedules);
  const stop = new AbortController();
  const memory = sampleMemory();
  const startedMs = performance.now();
  try {
    const following = follow(() => followChangeLog(deps, stop.signal), stop.signal);
    const isBuilt = async (): Promise<boolean> =>
      schedules.ensured.size === missions && (await countPendingMissions(database.system)) === 0;
    await Promise.race([until('all missions are built', isBuilt, LONGEST_MS), following]);
    const seconds = (performance.now() - startedMs) / 1000;
    const { before, peak } = memory.stop();
    stop.abort();
    await following;
    const mib = (bytes: number): number => Math.round(bytes / MIB);
    return {
      settings: { missions, 'connections a pool': POOL_SIZE, PostgreSQL: 'without fsync' },
      tables: [
        {
          title: `Initial build of ${missions.toLocaleString('en')} missions, recording schedule client`,
          header: ['what', 'found'],
          rows: [
            ['total time (s)', seconds],
            ['missions a second', missions / seconds],
            ['RSS before (MiB)', mib(before.rss)],
            ['RSS at most (MiB)', mib(peak.rss)],
            ['heap used at most (MiB)', mib(peak.heapUsed)],
          ],
        },
      ],
    };
  } finally {
    stop.abort();
    memory.stop();
    await database.close();
  }
}

/** As the workflow does: the activity again and again, until told to stop. */
export async function follow(activity: () => Promise<unknown>, signal: AbortSignal): Promise<void> {
  try {
    while (!signal.aborted) await activity();
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

interface Memory {
  readonly rss: number;
  readonly heapUsed: number;
}

/** Of this process; PostgreSQL is another. */
function sampleMemory(): { stop(): { readonly before: Memory; readonly peak: Memory } } {
  const before = process.memoryUsage();
  let peak: Memory = before;
  const timer = setInterval(() => {
    const { rss, heapUsed } = process.memoryUsage();
    peak = { rss: Math.max(peak.rss, rss), heapUsed: Math.max(peak.heapUsed, heapUsed) };
  }, SAMPLE_EVERY_MS);
  return {
    stop: () => {
      clearInterval(timer);
      return { before, peak };
    },
  };
}

import type { ProjectionDependencies } from '#activities/projection/dependencies.ts';
import { openDatabase, type Database } from '#db/client.ts';
import type { PlatformDatabases } from '#dev/databases.ts';
import { missionScheduleId } from '#schedules/schedule-ids.ts';
import type { ListedSchedule, MissionSchedules } from '#schedules/mission-schedules.ts';

export const POOL_SIZE = 4;

/** A pool of the projection's own user. */
export const openProjectionDatabase = (databases: PlatformDatabases): Database =>
  openDatabase({
    url: databases.urls.projection.sync,
    applicationName: 'bench-projection',
    maxConnections: POOL_SIZE,
  });

/** No run is open, nothing has to be healed; a warning would mean that the figures are of failures. */
export const projectionDeps = (database: Database, schedules: MissionSchedules): ProjectionDependencies => ({
  database,
  schedules,
  startHealing: () => Promise.reject(new Error('bench: no mission of ours needs healing')),
  cancelRun: () => Promise.resolve(false),
  mayStart: () => true,
  isRunOpen: () => Promise.resolve(false),
  log: {
    info: () => undefined,
    warn: (message, fields) => {
      console.error(`WARNING ${message} ${JSON.stringify(fields)}`);
      process.exitCode = 1;
    },
  },
});

/** Takes every call, keeps the ids of the schedules it was told to make, and answers at once. */
export interface RecordingSchedules extends MissionSchedules {
  readonly ensured: ReadonlySet<string>;
}

export function recordingSchedules(): RecordingSchedules {
  const ensured = new Set<string>();
  return {
    ensured,
    ensure: ({ userId, missionId }) => {
      const scheduleId = missionScheduleId(userId, missionId);
      const known = ensured.has(scheduleId);
      ensured.add(scheduleId);
      return Promise.resolve(known ? 'updated' : 'created');
    },
    fingerprintOf: () => '',
    namespaces: ['default'],
    namespaceOf: () => 'default',
    remove: () => Promise.resolve(false),
    removeById: () => Promise.resolve(false),
    pauseOf: () => Promise.resolve(null),
    followsZone: () => Promise.resolve(true),
    holdsBack: () => Promise.resolve(false),
    list: () => noSchedules(),
    startDue: () => Promise.reject(new Error('bench: no mission of ours is due')),
  };
}

async function* noSchedules(): AsyncGenerator<ListedSchedule, void, undefined> {
  yield* await Promise.resolve([]);
}

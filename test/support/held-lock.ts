import { openDatabase } from '../../db/client.ts';
import { lockMission } from '../../db/mission-lock.ts';
import type { PlatformDatabases } from '../../dev/databases.ts';
import { toMissionId } from '../../domain/ids.ts';
import type { WrittenMission } from './granted-mission.ts';
import { waitUntil } from './wait-until.ts';

/**
 * Holds a mission's lock while `work` goes on, as revoking a grant does: sealing and writing back wait for it.
 *
 * @param work gets a function that resolves once somebody waits for a lock of this database
 */
export async function whileLocked(
  databases: PlatformDatabases,
  { user, missionId }: WrittenMission,
  work: (untilAwaited: () => Promise<unknown>) => Promise<void>,
): Promise<void> {
  const url = databases.superuser.syncUrl;
  const admin = openDatabase({ url, applicationName: 'test-lock', maxConnections: 1 });
  try {
    await admin.asUser(user.userId, async (tx) => {
      await lockMission(tx, user.userId, toMissionId(missionId));
      await work(() =>
        waitUntil('somebody waits for the lock', async () => {
          const waiting = await tx`
            select from pg_catalog.pg_locks where locktype = 'advisory' and not granted
              and database = (select oid from pg_catalog.pg_database where datname = current_database())`;
          return waiting.length > 0;
        }),
      );
    });
  } finally {
    await admin.close();
  }
}

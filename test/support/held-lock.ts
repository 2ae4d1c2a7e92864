import { openDatabase, type UserTransaction } from '#db/client.ts';
import { lockMission } from '#db/mission-lock.ts';
import type { PlatformDatabases } from '#dev/databases.ts';
import { toMissionId, type MissionId, type UserId } from '#domain/base/ids.ts';
import { waitUntil } from './wait-until.ts';

interface Mission {
  readonly user: { readonly userId: UserId };
  readonly missionId: string;
}

type UntilAwaited = () => Promise<unknown>;

/**
 * Holds a mission's lock while `work` goes on, as revoking a grant does: loading, sealing and writing back wait for it.
 *
 * @param work gets a function that resolves once somebody waits for a lock of this kind in this database
 */
export const whileLocked = (
  databases: PlatformDatabases,
  { user, missionId }: Mission,
  work: (untilAwaited: UntilAwaited) => Promise<void>,
): Promise<void> =>
  whileHeld(databases, user.userId, 'advisory', work, (tx) => holdMission(tx, toMissionId(missionId)));

/** Resolves once it is held, where `lockMission` only asks for it. */
export async function holdMission(tx: UserTransaction, missionId: MissionId): Promise<void> {
  lockMission(tx, missionId);
  await tx`select 1`;
}

/** Holds what nobody but the sealing of a run needs before its end: the run is loaded, and has claimed its instant. */
export const whileSealingWaits = (
  databases: PlatformDatabases,
  { user }: Mission,
  work: (untilAwaited: UntilAwaited) => Promise<void>,
): Promise<void> =>
  whileHeld(databases, user.userId, 'relation', work, async (tx) => {
    await tx`lock table mana_ai.sealed_inputs in access exclusive mode`;
  });

async function whileHeld(
  databases: PlatformDatabases,
  userId: UserId,
  kind: 'advisory' | 'relation',
  work: (untilAwaited: UntilAwaited) => Promise<void>,
  hold: (tx: UserTransaction) => Promise<void>,
): Promise<void> {
  const url = databases.superuser.syncUrl;
  const admin = openDatabase({ url, applicationName: 'test-lock', maxConnections: 1 });
  try {
    await admin.asUser(userId, async (tx) => {
      await hold(tx);
      await work(() =>
        waitUntil('somebody waits for the lock', async () => {
          const waiting = await tx`
            select from pg_catalog.pg_locks where locktype = ${kind} and not granted
              and database = (select oid from pg_catalog.pg_database where datname = current_database())`;
          return waiting.length > 0;
        }),
      );
    });
  } finally {
    await admin.close();
  }
}

import { Worker } from '@temporalio/worker';
import { type WorkerContext, type WorkerPart, HEARTBEAT_INTERVAL } from './part.ts';
import { pollsAt } from './readiness.ts';
import { workerVersion } from './worker-version.ts';
import { createVaultActivities } from '#activities/vault/activities.ts';
import type { Config } from '#config.ts';
import { openDatabase, type Database } from '#db/client.ts';
import { authDatabaseOf, checkDatabase, syncDatabaseOf } from '#db/readiness.ts';
import { observePoolWait, watchPool, type DatabaseName } from '#metrics/database.ts';
import { traceStatements } from '#tracing/sql.ts';
import { tracedActivities } from '#tracing/workers.ts';
import { VAULT_TASK_QUEUE } from '#temporal/messages.ts';

/** Longer than sealing a full grant takes. */
const SHUTDOWN_GRACE = '15s';

/** Task queue `missions-vault`: seals granted records, holds the vault KEK; runs no workflow and reaches no LLM. */
export async function createVaultPart(
  context: WorkerContext,
  settings: Config<'vault'>['vault'],
): Promise<WorkerPart> {
  const applicationName = 'mana-missions-vault';
  const open = (name: DatabaseName, database: typeof settings.syncDatabase): Database =>
    watchPool(
      name,
      openDatabase({
        ...{ ...database, applicationName, onConnection: observePoolWait(name) },
        around: traceStatements(name),
      }),
    );
  const syncDatabase = open('sync', settings.syncDatabase);
  const authDatabase = open('auth', settings.authDatabase);
  const { keks, acceptV1Grants: acceptV1 } = settings;
  if (keks.default === null && keks.byId.size === 0) {
    context.logger.warn('neither MANA_AUTH_KEK nor MANA_AUTH_KEKS is set: no vault can be opened');
  }
  const activities = createVaultActivities({ syncDatabase, authDatabase, keks, acceptV1 });
  const worker = await Worker.create({
    connection: context.connection,
    namespace: context.namespace,
    taskQueue: VAULT_TASK_QUEUE,
    dataConverter: context.dataConverter,
    ...workerVersion(context.buildId, 'PINNED'),
    activities: { ...activities },
    interceptors: { activity: tracedActivities() },
    shutdownGraceTime: SHUTDOWN_GRACE,
    maxHeartbeatThrottleInterval: HEARTBEAT_INTERVAL,
    // A run at a time for each connection of the pool: waiting in the pool would look like slow sealing.
    maxConcurrentActivityTaskExecutions: settings.syncDatabase.maxConnections,
  });
  return {
    name: 'vault',
    worker,
    onceRunning: () => Promise.resolve(),
    checks: {
      polls: pollsAt(context.client, worker, { runsWorkflows: false }),
      syncDatabase: () => checkDatabase(syncDatabase, syncDatabaseOf('mana_missions_vault')),
      authDatabase: () => checkDatabase(authDatabase, authDatabaseOf('mana_missions_vault')),
      // Without one it can do nothing at all.
      keys: () => Promise.resolve(keks.default === null && keks.byId.size === 0 ? 'no key is set' : 'ok'),
    },
    close: async () => {
      await Promise.all([syncDatabase.close(), authDatabase.close()]);
    },
  };
}

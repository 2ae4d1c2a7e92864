import type { Database } from '../db/client.ts';

export type DatabaseStates = Readonly<Record<'syncDatabase' | 'authDatabase', boolean>>;

/**
 * Asks both databases whether they answer, within `timeoutMs`. While one is silent, further calls wait for the same
 * question, so that frequent probes cannot use up its pool.
 */
export function createDatabaseHealth(
  databases: Readonly<Record<keyof DatabaseStates, Database>>,
  timeoutMs: number,
): () => Promise<DatabaseStates> {
  const syncDatabase = createProbe(databases.syncDatabase, timeoutMs);
  const authDatabase = createProbe(databases.authDatabase, timeoutMs);
  return async () => {
    const [sync, auth] = await Promise.all([syncDatabase(), authDatabase()]);
    return { syncDatabase: sync, authDatabase: auth };
  };
}

function createProbe(database: Database, timeoutMs: number): () => Promise<boolean> {
  let asked: Promise<boolean> | null = null;
  return async () => {
    asked ??= database.ping().then(
      () => true,
      () => false,
    );
    const current = asked;
    void current.then(() => {
      if (asked === current) asked = null;
    });
    return within(current, timeoutMs);
  };
}

async function within(answer: Promise<boolean>, timeoutMs: number): Promise<boolean> {
  const { promise: timedOut, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), timeoutMs);
  try {
    return await Promise.race([answer, timedOut]);
  } finally {
    clearTimeout(timer);
  }
}

import type { Database } from '#db/client.ts';
import { authDatabaseOf, checkDatabase, syncDatabaseOf } from '#db/readiness.ts';
import { createReadiness, type Readiness } from '#health/readiness.ts';

const ROLE = 'mana_missions_api';

/** What the API cannot do without. Temporal is not among it: grants and audit work while it is down. */
export const createApiReadiness = (databases: {
  readonly syncDatabase: Database;
  readonly authDatabase: Database;
}): (() => Promise<Readiness>) =>
  createReadiness({
    syncDatabase: () => checkDatabase(databases.syncDatabase, syncDatabaseOf(ROLE)),
    authDatabase: () => checkDatabase(databases.authDatabase, authDatabaseOf(ROLE)),
  });

import { until } from '#bench/servers.ts';
import type { PlatformDatabases } from '#dev/databases.ts';
import { withClient } from '#dev/platform-schema.ts';

/** As `openPools` names its connections. */
const APPLICATION = 'bench';
const USERS = ['runner_user', 'vault_user'];
const LONGEST_MS = 10_000;

/**
 * How long PostgreSQL has been at work in both databases, in milliseconds, once the connections of runner and vault are gone: a
 * connection tells what it did when it ends.
 */
export const sqlTimeMs = ({ superuser }: PlatformDatabases): Promise<number> =>
  withClient(superuser.syncUrl, async (client) => {
    const names = [superuser.syncUrl, superuser.authUrl].map((url) => new URL(url).pathname.slice(1));
    const areGone = async (): Promise<boolean> => {
      const { rowCount } = await client.query(
        `select from pg_catalog.pg_stat_activity
         where datname = any($1) and application_name = $2 and usename = any($3)`,
        [names, APPLICATION, USERS],
      );
      return rowCount === 0;
    };
    await until('connections are gone', areGone, LONGEST_MS);
    const { rows } = await client.query<{ ms: number }>(
      'select sum(active_time) as ms from pg_catalog.pg_stat_database where datname = any($1)',
      [names],
    );
    return rows[0]?.ms ?? NaN;
  });

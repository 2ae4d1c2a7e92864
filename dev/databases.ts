import { escapeIdentifier, type Client } from 'pg';
import { migrateAuthDatabase, migrateSyncDatabase } from '#migrations/migrate.ts';
import { createBarePlatform, createLogin, inDatabase, withClient } from './platform-schema.ts';
import type { EmbeddedCluster } from './postgres.ts';

/** Connection strings of the two databases, per user. Every process role logs in as a user of its own. */
export interface PlatformDatabases {
  /** The owners: what `MIGRATE_DATABASE_URL` and `MIGRATE_AUTH_DATABASE_URL` hold. */
  readonly syncOwnerUrl: string;
  readonly authOwnerUrl: string;
  /** LOGIN users that are members of the group roles, as in production. */
  readonly urls: {
    readonly api: { readonly sync: string; readonly auth: string };
    readonly vault: { readonly sync: string; readonly auth: string };
    readonly runner: { readonly sync: string };
    readonly projection: { readonly sync: string };
    /** The operator's commands: `MAINTENANCE_DATABASE_URL`. */
    readonly maintenance: { readonly sync: string };
  };
  /** What the web app reaches through mana-sync and mana-auth: row-level security applies to it as well. */
  readonly asWebApp: { readonly syncUrl: string; readonly authUrl: string };
  /** For tests and figures only: sees every row. */
  readonly superuser: { readonly syncUrl: string; readonly authUrl: string };
}

const syncDatabase = 'mana_sync';
const authDatabase = 'mana_platform';

/** Creates both databases as the platform has them, migrates them as their owners, and creates the users. */
export async function provisionPlatform(cluster: EmbeddedCluster): Promise<PlatformDatabases> {
  const owners = await createBarePlatform(cluster, { sync: syncDatabase, auth: authDatabase });
  // One after the other: both make group roles, and roles belong to the whole cluster.
  await migrateSyncDatabase(owners.syncOwnerUrl);
  await migrateAuthDatabase(owners.authOwnerUrl);
  const syncUrl = cluster.superuserUrl(syncDatabase);
  const users = await withClient(syncUrl, async (client) => ({
    api: await createMember(client, syncUrl, 'api_user', 'mana_missions_api'),
    vault: await createMember(client, syncUrl, 'vault_user', 'mana_missions_vault'),
    runner: await createMember(client, syncUrl, 'runner_user', 'mana_missions_runner'),
    projection: await createMember(client, syncUrl, 'projection_user', 'mana_missions_projection'),
    maintenance: await createMember(client, syncUrl, 'maintenance_user', 'mana_missions_maintenance'),
    webApp: await createLogin(client, syncUrl, 'web_app_user'),
  }));
  await withClient(syncUrl, (client) =>
    client.query('grant select, insert on public.sync_changes to web_app_user'),
  );
  await withClient(cluster.superuserUrl(authDatabase), async (client) => {
    await client.query('grant usage on schema auth to web_app_user');
    await client.query('grant select, insert, update, delete on all tables in schema auth to web_app_user');
  });
  return {
    ...owners,
    urls: {
      api: { sync: users.api, auth: inDatabase(users.api, authDatabase) },
      vault: { sync: users.vault, auth: inDatabase(users.vault, authDatabase) },
      runner: { sync: users.runner },
      projection: { sync: users.projection },
      maintenance: { sync: users.maintenance },
    },
    asWebApp: { syncUrl: users.webApp, authUrl: inDatabase(users.webApp, authDatabase) },
    superuser: { syncUrl, authUrl: cluster.superuserUrl(authDatabase) },
  };
}

async function createMember(client: Client, url: string, name: string, group: string): Promise<string> {
  const userUrl = await createLogin(client, url, name);
  await client.query(`grant ${escapeIdentifier(group)} to ${escapeIdentifier(name)}`);
  return userUrl;
}

/** The same users in other databases, for clones of the two. */
export function inDatabases(platform: PlatformDatabases, sync: string, auth: string): PlatformDatabases {
  const { urls, asWebApp, superuser } = platform;
  const both = (of: { readonly sync: string; readonly auth: string }) => ({
    sync: inDatabase(of.sync, sync),
    auth: inDatabase(of.auth, auth),
  });
  return {
    syncOwnerUrl: inDatabase(platform.syncOwnerUrl, sync),
    authOwnerUrl: inDatabase(platform.authOwnerUrl, auth),
    urls: {
      api: both(urls.api),
      vault: both(urls.vault),
      runner: { sync: inDatabase(urls.runner.sync, sync) },
      projection: { sync: inDatabase(urls.projection.sync, sync) },
      maintenance: { sync: inDatabase(urls.maintenance.sync, sync) },
    },
    asWebApp: { syncUrl: inDatabase(asWebApp.syncUrl, sync), authUrl: inDatabase(asWebApp.authUrl, auth) },
    superuser: { syncUrl: inDatabase(superuser.syncUrl, sync), authUrl: inDatabase(superuser.authUrl, auth) },
  };
}

import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, escapeIdentifier, escapeLiteral } from 'pg';
import type { EmbeddedCluster } from './postgres.ts';

/** The two databases as they stand on the platform before we come: without anything of ours. */
export interface BarePlatform {
  /** Connection string of `mana_sync_owner`, who owns database `mana_sync` and `sync_changes`; no superuser. */
  readonly syncOwnerUrl: string;
  /** Connection string of `mana_auth_owner`, who owns database `mana_platform` and schema `auth`; no superuser. */
  readonly authOwnerUrl: string;
}

/** Creates what mana-sync and mana-auth own on the platform, owned as there (docs/platform.md sections 1 and 6). */
export async function createBarePlatform(
  cluster: EmbeddedCluster,
  names: { readonly sync: string; readonly auth: string } = { sync: 'mana_sync', auth: 'mana_platform' },
): Promise<BarePlatform> {
  return {
    syncOwnerUrl: await createOwned(cluster, names.sync, 'mana_sync_owner', 'platform-schema.sync.sql'),
    authOwnerUrl: await createOwned(cluster, names.auth, 'mana_auth_owner', 'platform-schema.auth.sql'),
  };
}

async function createOwned(
  cluster: EmbeddedCluster,
  database: string,
  owner: string,
  schemaFile: string,
): Promise<string> {
  const ownerUrl = await withClient(cluster.superuserUrl('postgres'), async (client) => {
    // The owners make our group roles, which takes CREATEROLE (docs/architecture.md section 7).
    const url = await createLogin(client, cluster.superuserUrl(database), owner, 'createrole');
    await client.query(`create database ${escapeIdentifier(database)} owner ${escapeIdentifier(owner)}`);
    return url;
  });
  await withClient(ownerUrl, async (client) => {
    await client.query(readFileSync(join(import.meta.dirname, schemaFile), 'utf8'));
  });
  return ownerUrl;
}

/**
 * Creates a user that may log in, or gives an existing one a new password.
 *
 * @param url a connection string of the database; user and password are replaced
 * @param attributes further attributes in the words of `create role`
 * @returns the connection string of the user
 */
export async function createLogin(
  client: Client,
  url: string,
  name: string,
  attributes = '',
): Promise<string> {
  const password = randomBytes(18).toString('base64url');
  const { rowCount } = await client.query('select from pg_catalog.pg_roles where rolname = $1', [name]);
  const verb = rowCount === 0 ? 'create' : 'alter';
  await client.query(
    `${verb} role ${escapeIdentifier(name)} login inherit nosuperuser ${attributes} password ${escapeLiteral(password)}`,
  );
  return asUser(url, name, password);
}

const asUser = (url: string, user: string, password: string): string => {
  const changed = new URL(url);
  changed.username = user;
  changed.password = password;
  return changed.href;
};

/** The same server and user, another database. */
export const inDatabase = (url: string, database: string): string => {
  const changed = new URL(url);
  changed.pathname = `/${database}`;
  return changed.href;
};

/** Connects, does the work, disconnects. */
export async function withClient<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  // Without a listener a connection that the server ends would end our process.
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

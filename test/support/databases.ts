import { randomBytes } from 'node:crypto';
import { escapeIdentifier, type Client } from 'pg';
import { inject } from 'vitest';
import { inDatabases, type PlatformDatabases } from '#dev/databases.ts';
import { withClient } from '#dev/platform-schema.ts';
import { waitUntil } from './wait-until.ts';

export interface TestDatabases extends PlatformDatabases {
  /**
   * Removes both databases.
   *
   * @throws Error when a connection to them is still open: somebody forgot to close a pool or a worker
   */
  drop(): Promise<void>;
}

/** Clones both migrated databases for one test file. The users are the ones used in production, and their passwords. */
export async function createTestDatabases(): Promise<TestDatabases> {
  const platform = inject('platform');
  const suffix = randomBytes(6).toString('hex');
  const names = { sync: `test_sync_${suffix}`, auth: `test_auth_${suffix}` };
  await asSuperuser(async (client) => {
    await clone(client, platform.superuser.syncUrl, names.sync, 'mana_sync_owner');
    await clone(client, platform.superuser.authUrl, names.auth, 'mana_auth_owner');
  });
  return { ...inDatabases(platform, names.sync, names.auth), drop: () => drop(Object.values(names)) };
}

const asSuperuser = <T>(work: (client: Client) => Promise<T>): Promise<T> =>
  withClient(inject('postgresUrl'), work);

async function clone(client: Client, templateUrl: string, name: string, owner: string): Promise<void> {
  const template = new URL(templateUrl).pathname.slice(1);
  const text = `create database ${escapeIdentifier(name)} template ${escapeIdentifier(template)}
       strategy file_copy owner ${escapeIdentifier(owner)}`;
  // PostgreSQL waits five seconds for whoever is connected to the template, and its own workers are, now and then.
  const tryToClone = () => client.query(text).then(() => true);
  await waitUntil('the template is free', tryToClone);
}

async function drop(names: readonly string[]): Promise<void> {
  await asSuperuser(async (client) => {
    // A connection that was just closed takes a moment to go, on a busy machine a long one; what was forgotten stays.
    const leftOpen = await waitUntil(
      'connections closed',
      async () => (await openConnections(client, names)).length === 0,
    ).then(
      () => [],
      () => openConnections(client, names),
    );
    for (const name of names)
      await client.query(`drop database if exists ${escapeIdentifier(name)} with (force)`);
    if (leftOpen.length > 0) throw new Error(`connections were left open by: ${leftOpen.join(', ')}`);
  });
}

async function openConnections(client: Client, names: readonly string[]): Promise<string[]> {
  const { rows } = await client.query<{ who: string }>(
    `select format('%s (%s)', usename, application_name) as who
       from pg_catalog.pg_stat_activity where datname = any($1) and backend_type = 'client backend'`,
    [names],
  );
  return rows.map((row) => row.who);
}

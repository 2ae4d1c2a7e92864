import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import type { Client } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import {
  createBarePlatform,
  createLogin,
  inDatabase,
  withClient,
  type BarePlatform,
} from '#dev/platform-schema.ts';
import { startPostgres, type EmbeddedCluster } from '#dev/postgres.ts';
import { readMigrationFiles } from '#migrations/files.ts';
import { describePlatform, manifestText } from '#migrations/manifest.ts';
import { masked } from '#logging/masked.ts';
import { migrateAuthDatabase, migrateSyncDatabase, platformSql } from '#migrations/migrate.ts';
import bookkeepingBefore from '#test/support/bookkeeping-before.json' with { type: 'json' };
import { createTestDatabases } from '#test/support/databases.ts';

const root = resolve(import.meta.dirname, '..', '..');
const run = promisify(execFile);

/** A cluster of its own: roles belong to the whole cluster, and here they must not exist beforehand. */
let cluster: EmbeddedCluster;
let platform: BarePlatform;
const databases = { sync: 'mana_sync', auth: 'mana_platform' };

beforeAll(async () => {
  cluster = await startPostgres();
  platform = await createBarePlatform(cluster, databases);
});
afterAll(() => cluster.stop());

const asSuperuser = <T>(database: string, work: (client: Client) => Promise<T>): Promise<T> =>
  withClient(cluster.superuserUrl(database), work);

const manifestNow = () =>
  asSuperuser(databases.sync, (sync) =>
    asSuperuser(databases.auth, async (auth) => manifestText(await describePlatform(sync, auth))),
  );

/** When each migration ran, and which transaction last changed the system catalogs that they change. */
const traces = () =>
  asSuperuser(databases.sync, async (client) => {
    const { rows } = await client.query<{ trace: string }>(
      `select 'own ' || name || executed_at as trace from mana_ai.migrations
       union all select 'sync_changes ' || name || executed_at from mana_missions_migrations.migrations
       union all select 'class ' || oid || xmin from pg_catalog.pg_class where relkind <> 't'
       union all select 'policy ' || oid || xmin from pg_catalog.pg_policy
       union all select 'role ' || oid || xmin from pg_catalog.pg_authid
       order by trace`,
    );
    return rows.map((row) => row.trace);
  });

describe('the migrations, run by the owners of the two databases', () => {
  test('the owners are no superusers', async () => {
    for (const url of [platform.syncOwnerUrl, platform.authOwnerUrl]) {
      const { rows } = await withClient(url, (client) =>
        client.query('select rolsuper, rolbypassrls from pg_catalog.pg_roles where rolname = current_user'),
      );
      expect(rows).toEqual([{ rolsuper: false, rolbypassrls: false }]);
    }
  });

  test('twenty migrators at once on one database all succeed, and the result is the committed manifest', async () => {
    const twenty = Array.from({ length: 20 });
    await Promise.all(twenty.map(() => migrateSyncDatabase(platform.syncOwnerUrl)));
    await Promise.all(twenty.map(() => migrateAuthDatabase(platform.authOwnerUrl)));
    expect(await manifestNow()).toBe(readFileSync(join(root, 'migrations', 'manifest.json'), 'utf8'));
  });

  test('a second run changes nothing', async () => {
    const before = await traces();
    await migrateSyncDatabase(platform.syncOwnerUrl);
    await migrateAuthDatabase(platform.authOwnerUrl);
    expect(await traces()).toEqual(before);
  });

  test('a database that the version before migrated, by postgres-migrations, is up to date', async () => {
    const restore = (database: string, table: string, rows: readonly (readonly (string | number)[])[]) =>
      asSuperuser(database, async (client) => {
        await client.query(`delete from ${table}`);
        for (const row of rows)
          await client.query(`insert into ${table} (id, name, hash) values ($1, $2, $3)`, [...row]);
      });
    const platformTable = 'mana_missions_migrations.migrations';
    // What came later has no row in it.
    const later = readMigrationFiles(join(root, 'migrations', 'mana_ai'))
      .slice(bookkeepingBefore.mana_ai.length - 1)
      .map(({ id, name, hash }) => [id, name, hash]);
    await restore(databases.sync, 'mana_ai.migrations', [...bookkeepingBefore.mana_ai, ...later]);
    await restore(databases.sync, platformTable, bookkeepingBefore.sync_changes);
    await restore(databases.auth, platformTable, bookkeepingBefore.auth);
    const before = await traces();
    const told: string[] = [];
    await migrateSyncDatabase(platform.syncOwnerUrl, { log: (message) => told.push(message) });
    await migrateAuthDatabase(platform.authOwnerUrl, { log: (message) => told.push(message) });
    expect(told).toEqual(['mana_ai: up to date', 'sync_changes: up to date', 'auth: up to date']);
    expect(await traces()).toEqual(before);
  });

  test('an index that an interrupted migrator left unfinished is built again', async () => {
    await asSuperuser(databases.sync, async (client) => {
      await client.query(
        `update pg_catalog.pg_index set indisvalid = false
          where indexrelid = 'public.mana_missions_projection_follows'::regclass`,
      );
      await client.query(`delete from mana_missions_migrations.migrations where id >= 2`);
    });
    await migrateSyncDatabase(platform.syncOwnerUrl);
    expect(await manifestNow()).toBe(readFileSync(join(root, 'migrations', 'manifest.json'), 'utf8'));
  });
});

describe('the migrations, run by somebody who does not own the platform’s tables', () => {
  /** May make schemas and roles, but sync_changes and auth belong to others. */
  const others = { sync: 'others_sync', auth: 'others_auth' };
  let urls: { readonly sync: string; readonly auth: string };

  beforeAll(async () => {
    const { syncOwnerUrl, authOwnerUrl } = await createBarePlatform(cluster, others);
    // The owners are the same users; they have new passwords now.
    platform = {
      syncOwnerUrl: inDatabase(syncOwnerUrl, databases.sync),
      authOwnerUrl: inDatabase(authOwnerUrl, databases.auth),
    };
    urls = await asSuperuser('postgres', async (client) => {
      const url = await createLogin(client, cluster.superuserUrl(others.sync), 'outsider', 'createrole');
      await client.query(`grant create on database ${others.sync} to outsider`);
      return { sync: url, auth: inDatabase(url, others.auth) };
    });
  });

  test('they stop and name what is missing and the command that prints the owner’s SQL', async () => {
    const refused =
      /not the owner of public\.sync_changes.*policy sync_changes\.mana_missions_.*--print-platform-sql/s;
    await expect(migrateSyncDatabase(urls.sync)).rejects.toThrow(refused);
    await expect(migrateAuthDatabase(urls.auth)).rejects.toThrow(/not the owner of auth\.encryption_vaults/);
  });

  test('they succeed once the owner has run the printed SQL, twice even', async () => {
    const [syncSql = '', authSql = ''] = platformSql().split('-- ==== database mana_platform');
    for (let time = 1; time <= 2; time += 1) {
      await runStatements(cluster.superuserUrl(others.sync), 'mana_sync_owner', syncSql);
      await runStatements(cluster.superuserUrl(others.auth), 'mana_auth_owner', `-- ${authSql}`);
    }
    const told: string[] = [];
    await migrateSyncDatabase(urls.sync, { log: (message) => told.push(message) });
    await migrateAuthDatabase(urls.auth, { log: (message) => told.push(message) });
    expect(told).toContain('sync_changes: up to date (run by the owner of public.sync_changes)');
    expect(told).toContain('auth: up to date (run by the owner of auth.encryption_vaults)');
  });

  test('a database without sync_changes is refused', async () => {
    await asSuperuser('postgres', (client) => client.query('create database empty_database owner outsider'));
    const url = inDatabase(urls.sync, 'empty_database');
    await expect(migrateSyncDatabase(url)).rejects.toThrow('there is no table public.sync_changes');
  });
});

/** As psql does: one statement after the other, each in a transaction of its own. */
async function runStatements(url: string, owner: string, sql: string): Promise<void> {
  await withClient(url, async (client) => {
    await client.query(`set role ${owner}`);
    const text = sql.replaceAll(/^--.*$/gm, '');
    for (const statement of text.split(/;\n(?![^$]*end \$\$)/))
      if (statement.trim() !== '') await client.query(statement);
  });
}

describe('the files', () => {
  const names = { sync: 'files_sync', auth: 'files_auth' };
  /** A copy of ours, to be changed. */
  let directory: string;
  let url: string;
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'mana-migrations-'));
    cpSync(join(root, 'migrations'), directory, { recursive: true });
    const owners = await createBarePlatform(cluster, names);
    platform = {
      syncOwnerUrl: inDatabase(owners.syncOwnerUrl, databases.sync),
      authOwnerUrl: inDatabase(owners.authOwnerUrl, databases.auth),
    };
    url = owners.syncOwnerUrl;
  });
  afterEach(async () => {
    rmSync(directory, { recursive: true });
    for (const name of Object.values(names))
      await asSuperuser('postgres', (client) => client.query(`drop database ${name}`));
  });

  const ours = () => readMigrationFiles(join(root, 'migrations', 'mana_ai'));
  /** @param after how many files after the last of ours; 1: the next one */
  const write = (after: number, name: string, sql: string): string => {
    const fileName = `${String(ours().length + after).padStart(6, '0')}_${name}.sql`;
    writeFileSync(join(directory, 'mana_ai', fileName), sql);
    return fileName;
  };
  const tables = (): Promise<string[]> =>
    asSuperuser(names.sync, async (client) => {
      const { rows } = await client.query<{ name: string }>(
        `select relname as name from pg_class where relname like 'new\\_%' order by 1`,
      );
      return rows.map(({ name }) => name);
    });

  test('one that fails is undone and named; what was before it stays, what comes after it waits', async () => {
    write(1, 'good', 'create table mana_ai.new_good ();');
    const bad = write(2, 'bad', 'create table mana_ai.new_half (); select 1 / 0;');
    write(3, 'later', 'create table mana_ai.new_later ();');
    await expect(migrateSyncDatabase(url, { directory })).rejects.toThrow(`${bad}: division by zero`);
    expect(await tables()).toEqual(['new_good']);
    writeFileSync(join(directory, 'mana_ai', bad), 'create table mana_ai.new_whole ();');
    const told: string[] = [];
    await migrateSyncDatabase(url, { directory, log: (message) => told.push(message) });
    expect(told[0]).toMatch(/^mana_ai: applied \d+_bad\.sql, \d+_later\.sql$/);
    expect(await tables()).toEqual(['new_good', 'new_later', 'new_whole']);
  });

  test('one that was edited after it had been run is refused before anything is run', async () => {
    await migrateSyncDatabase(url, { directory });
    appendFileSync(join(directory, 'mana_ai', '000003_rights.sql'), '-- more');
    write(1, 'next', 'create table mana_ai.new_next ();');
    await expect(migrateSyncDatabase(url, { directory })).rejects.toThrow('000003_rights.sql: edited after');
    expect(await tables()).toEqual([]);
  });

  test('a table of others that is called like our bookkeeping is not taken for it', async () => {
    await withClient(url, async (client) => {
      await client.query('create table public.migrations (id text, hash text)');
      await client.query(`insert into public.migrations values ('1', 'theirs')`);
      await client.query('create schema theirs; create table theirs.migrations ()');
    });
    await migrateSyncDatabase(url);
    await migrateSyncDatabase(url);
    const { rows } = await withClient(url, (client) => client.query('select * from public.migrations'));
    expect(rows).toEqual([{ id: '1', hash: 'theirs' }]);
  });

  test('a name without its schema is refused: it could be anybody’s', async () => {
    const file = write(1, 'unqualified', 'create table new_unqualified ();');
    await expect(migrateSyncDatabase(url, { directory })).rejects.toThrow(`${file}: permission denied`);
    expect(await tables()).toEqual([]);
  });
});

describe('yarn db:migrate', () => {
  const migrateCommand = async (env: Readonly<Record<string, string>>, args: readonly string[] = []) => {
    try {
      const script = join(root, 'commands', 'missions.ts');
      return { code: 0, ...(await run(process.execPath, [script, 'migrate', ...args], { env: { ...env } })) };
    } catch (error) {
      return error as { code: number; stdout: string; stderr: string };
    }
  };

  test('migrates what it was given, says what it skips, and prints no password', async () => {
    const result = await migrateCommand({ MIGRATE_DATABASE_URL: platform.syncOwnerUrl });
    expect(result).toMatchObject({ code: 0, stderr: '' });
    expect(result.stdout).toContain('mana_sync: mana_ai: up to date');
    expect(result.stdout).toContain('mana_platform: skipped, MIGRATE_AUTH_DATABASE_URL is not set');
    expect(result.stdout).not.toContain(new URL(platform.syncOwnerUrl).password);
  });

  test('fails without any database', async () => {
    const result = await migrateCommand({});
    expect(result.code).toBe(1);
    expect(result.stderr).toContain('MIGRATE_DATABASE_URL');
  });

  test('a failure is one message without the connection string and without a stack', async () => {
    const password = randomBytes(12).toString('hex');
    const url = new URL(platform.syncOwnerUrl);
    url.password = password;
    for (const bad of [
      url.href,
      `postgres://owner:${password}@127.0.0.1:1/mana_sync`,
      `postgres://o:${password}@[/x`,
    ]) {
      const result = await migrateCommand({ MIGRATE_DATABASE_URL: bad });
      expect(result.code).toBe(1);
      expect(`${result.stdout}${result.stderr}`).not.toContain(password);
      expect(result.stderr.trim().split('\n')).toHaveLength(1);
    }
  });

  test('--print-platform-sql prints both sets and connects to nothing', async () => {
    const result = await migrateCommand({}, ['--print-platform-sql']);
    expect(result).toMatchObject({ code: 0, stdout: platformSql() });
    expect(result.stdout).toMatch(/sync_changes\/000001_.*auth\/000001_/s);
  });

  test('masks connection strings and passwords in any message', () => {
    const url = 'postgres://owner:p%40ss@db/mana_sync';
    expect(masked(`cannot use ${url}: p@ss is wrong`, [url])).toBe(
      'cannot use postgres://***@db/mana_sync: *** is wrong',
    );
  });
});

describe('the databases of a test file', () => {
  test('are clones in which the production users see only rows of the user they set', async () => {
    const clones = await createTestDatabases();
    await withClient(clones.asWebApp.syncUrl, async (client) => {
      await client.query('begin');
      await client.query(`select set_config('app.current_user_id', 'alice', true)`);
      await client.query(
        `insert into public.sync_changes (app_id, table_name, record_id, user_id, op, data, client_id)
         values ('ai', 'aiMissions', 'm1', 'alice', 'insert', '{}', 'device')`,
      );
      await client.query('commit');
    });
    const seenBy = (userId: string) =>
      withClient(clones.urls.runner.sync, async (client) => {
        await client.query('begin');
        await client.query(`select set_config('app.current_user_id', $1, true)`, [userId]);
        const { rows } = await client.query<{ record_id: string }>(
          'select record_id from public.sync_changes',
        );
        return rows;
      });
    expect(await seenBy('alice')).toEqual([{ record_id: 'm1' }]);
    expect(await seenBy('mallory')).toEqual([]);
    await clones.drop();
  });

  test('cannot be dropped silently while a connection is open', async () => {
    const clones = await createTestDatabases();
    await withClient(clones.urls.api.sync, async () => {
      await expect(clones.drop()).rejects.toThrow('left open by: api_user');
    });
    const { rows } = await withClient(inject('postgresUrl'), (client) =>
      client.query('select from pg_database where datname = $1', [
        new URL(clones.superuser.syncUrl).pathname.slice(1),
      ]),
    );
    expect(rows).toEqual([]);
  });
});

test('an embedded cluster leaves no file behind', async () => {
  const other = await startPostgres();
  expect(existsSync(other.logFile)).toBe(true);
  await other.stop();
  expect(existsSync(dirname(other.logFile))).toBe(false);
});

import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Client, escapeIdentifier } from 'pg';
import { migrate } from 'postgres-migrations';
import { missingFromManifest } from './manifest.ts';

/** Tells the operator what happens; never gets a connection string. */
export type Log = (message: string) => void;

export interface MigrationOptions {
  readonly log?: Log;
  /** The folder that holds the three sets; ours by default. */
  readonly directory?: string;
}

/** The migrations cannot be run as they are; the message says what to do. */
export class MigrationRefusedError extends Error {
  override readonly name = 'MigrationRefusedError';
}

const migrationsDirectory = resolve(import.meta.dirname, '..', 'migrations');

/** Our own schema in database mana_sync; its bookkeeping table lies in it. */
const ownSet: MigrationSet = { folder: 'mana_ai', bookkeeping: 'mana_ai' };
/** Rights, policies and an index on tables of others. Their bookkeeping is ours, in a schema of its own. */
const bookkeeping = 'mana_missions_migrations';
const platformSets: Readonly<Record<'sync' | 'auth', PlatformSet>> = {
  sync: { folder: 'sync_changes', bookkeeping, schema: 'public', table: 'public.sync_changes' },
  auth: { folder: 'auth', bookkeeping, schema: 'auth', table: 'auth.encryption_vaults' },
};

/** Any name will do that all migrators of this project share. */
const lockName = 'mana-missions migrations';
const lockWaitMs = 10 * 60_000;
const connectTimeoutMs = 10_000;
/** Building an index on a large change log takes a while. */
const statementTimeoutMs = 30 * 60_000;
/** A policy on a table of others must not queue everybody behind a long transaction. */
const lockTimeoutMs = 30_000;

/**
 * Brings schema mana_ai, and our rights on mana-sync's change log, up to date.
 *
 * Where the user does not own the change log, what its owner has to run is checked only.
 *
 * @param url connection string of the owner of database mana_sync, with CREATEROLE unless our roles exist
 * @throws MigrationRefusedError if something has to be done by hand first; Error from PostgreSQL otherwise
 */
export async function migrateSyncDatabase(url: string, options: MigrationOptions = {}): Promise<void> {
  await withMigrator(url, async (client) => {
    await runSet(client, ownSet, options);
    await runPlatformSet(client, platformSets.sync, options);
  });
}

/**
 * Brings our rights on mana-auth's vault up to date; see `migrateSyncDatabase`.
 *
 * @param url connection string of the owner of schema auth in database mana_platform
 */
export async function migrateAuthDatabase(url: string, options: MigrationOptions = {}): Promise<void> {
  await withMigrator(url, (client) => runPlatformSet(client, platformSets.auth, options));
}

/** What mana-sync's and mana-auth's owner must run where we are not the owner. Safe to run again. */
export function platformSql(directory: string = migrationsDirectory): string {
  const parts = [
    { set: platformSets.sync, title: 'database mana_sync, as the owner of public.sync_changes' },
    { set: platformSets.auth, title: 'database mana_platform, as the owner of schema auth' },
  ];
  return parts
    .map(({ set, title }) => {
      const folder = join(directory, set.folder);
      const files = readdirSync(folder).sort();
      const texts = files.map(
        (file) => `-- ${set.folder}/${file}\n${readFileSync(join(folder, file), 'utf8').trim()}\n`,
      );
      return [`-- ==== ${title} ====\n`, ...texts].join('\n');
    })
    .join('\n\n');
}

async function withMigrator(url: string, work: (client: Client) => Promise<void>): Promise<void> {
  const client = new Client({
    connectionString: url,
    application_name: 'mana-missions-migrate',
    connectionTimeoutMillis: connectTimeoutMs,
    statement_timeout: statementTimeoutMs,
    lock_timeout: lockTimeoutMs,
  });
  client.on('error', () => undefined);
  await client.connect();
  try {
    await takeLock(client);
    await work(client);
  } finally {
    await client.end();
  }
}

/**
 * One migrator at a time in a database. It asks again and again: to wait inside a statement would hold a snapshot that
 * `create index concurrently` of the one at work waits for. The library's own lock only asks once a second.
 */
async function takeLock(client: Client): Promise<void> {
  const deadlineAt = Date.now() + lockWaitMs;
  for (;;) {
    const { rows } = await client.query<{ taken: boolean }>(
      'select pg_try_advisory_lock(hashtextextended($1, 0)) as taken',
      [lockName],
    );
    if (rows[0]?.taken === true) return;
    if (Date.now() > deadlineAt) {
      throw new MigrationRefusedError(
        'another migrator has been at work for 10 minutes; look for it, then try again',
      );
    }
    await delay(50);
  }
}

interface MigrationSet {
  readonly folder: string;
  readonly bookkeeping: string;
}

/** A set that changes `table`, which belongs to somebody else and lies in `schema`. */
interface PlatformSet extends MigrationSet {
  readonly schema: 'public' | 'auth';
  readonly table: string;
}

async function runSet(client: Client, set: MigrationSet, options: MigrationOptions): Promise<void> {
  await prepareBookkeeping(client, set.bookkeeping);
  const applied = await migrate({ client }, join(options.directory ?? migrationsDirectory, set.folder));
  // Number 0 is the library's own: its bookkeeping table.
  const names = applied.filter((migration) => migration.id > 0).map((migration) => migration.fileName);
  options.log?.(`${set.folder}: ${names.length === 0 ? 'up to date' : `applied ${names.join(', ')}`}`);
}

/**
 * The library takes any table called `migrations`, in whatever schema, for its own, but then reads the one on the
 * search path. So ours is there before it looks, and nothing else is on the path.
 */
async function prepareBookkeeping(client: Client, schema: string): Promise<void> {
  const name = escapeIdentifier(schema);
  // Asked first: "if not exists" needs the right to create schemas even where there is nothing to create.
  const { rows } = await client.query<{ present: boolean }>(
    'select to_regnamespace($1) is not null as present',
    [name],
  );
  if (rows[0]?.present !== true) await client.query(`create schema ${name}`);
  await client.query(
    `create table if not exists ${name}.migrations (
       id integer primary key,
       name varchar(100) unique not null,
       hash varchar(40) not null,
       executed_at timestamp default current_timestamp
     )`,
  );
  await client.query(`set search_path to ${name}`);
}

async function runPlatformSet(client: Client, set: PlatformSet, options: MigrationOptions): Promise<void> {
  const ownership = await ownershipOf(client, set.table);
  if (ownership === 'absent') {
    throw new MigrationRefusedError(
      `there is no table ${set.table} in this database: is this the platform's database, and does it run already?`,
    );
  }
  if (ownership === 'ours') {
    await dropUnfinishedIndexes(client, set.table);
    await runSet(client, set, options);
    return;
  }
  const missing = await missingFromManifest(client, set.schema, options.directory ?? migrationsDirectory);
  if (missing.length > 0) {
    throw new MigrationRefusedError(
      `the user is not the owner of ${set.table}, and its owner has not run all of our SQL yet; missing:\n` +
        `${missing.map((line) => `  ${line}`).join('\n')}\n` +
        'yarn db:migrate --print-platform-sql prints what the owner must run',
    );
  }
  options.log?.(`${set.folder}: up to date (run by the owner of ${set.table})`);
}

/** By name in the catalog: `to_regclass` fails in a schema that is closed to us. */
async function ownershipOf(client: Client, table: string): Promise<'ours' | 'theirs' | 'absent'> {
  const { rows } = await client.query<{ ours: boolean }>(
    `select pg_catalog.pg_has_role(current_user, relowner, 'usage') as ours
       from pg_catalog.pg_class join pg_catalog.pg_namespace on pg_namespace.oid = relnamespace
      where nspname || '.' || relname = $1`,
    [table],
  );
  if (rows[0] === undefined) return 'absent';
  return rows[0].ours ? 'ours' : 'theirs';
}

/** What an interrupted `create index concurrently` leaves behind: "if not exists" would take it for finished. */
async function dropUnfinishedIndexes(client: Client, table: string): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    `select index.oid::regclass::text as name
       from pg_catalog.pg_index join pg_catalog.pg_class index on index.oid = indexrelid
      where indrelid = to_regclass($1) and not indisvalid and relname like 'mana\\_missions\\_%'`,
    [table],
  );
  for (const { name } of rows) await client.query(`drop index concurrently if exists ${name}`);
}

/** Takes passwords and connection strings out of a message, whoever wrote it. */
export function masked(message: string, urls: readonly string[]): string {
  const passwords = urls.flatMap((url) => {
    const found = /^[^:]*:\/\/[^:@/]*:([^@]*)@/.exec(url)?.[1];
    return found === undefined || found === '' ? [] : [found, decoded(found)];
  });
  const withoutUrls = message.replaceAll(/[^\s'"]+/g, maskedUrl);
  return passwords.reduce((text, password) => text.replaceAll(password, '***'), withoutUrls);
}

/** From `//` to the last `@`. */
const maskedUrl = (word: string): string => {
  const [scheme, at] = [word.indexOf('://'), word.lastIndexOf('@')];
  return scheme > 0 && at > scheme ? `${word.slice(0, scheme)}://***${word.slice(at)}` : word;
};

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
};

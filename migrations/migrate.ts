import { join } from 'node:path';
import type { Client } from 'pg';
import { asMigrator } from './as-migrator.ts';
import { readMigrationFiles, MigrationRefusedError } from './files.ts';
import { missingFromManifest } from './manifest.ts';
import { runFiles } from './run-files.ts';
import { moveServiceBeforeAside } from './service-before.ts';

/** Tells the operator what happens; never gets a connection string. */
export type Log = (message: string) => void;

export interface MigrationOptions {
  readonly log?: Log;
  /** The folder that holds the three sets; ours by default. */
  readonly directory?: string;
}

const migrationsDirectory = import.meta.dirname;

/** Our own schema in database mana_sync; its bookkeeping table lies in it. */
const ownSet: MigrationSet = { folder: 'mana_ai', bookkeeping: 'mana_ai' };
/** Rights, policies and an index on tables of others. Their bookkeeping is ours, in a schema of its own. */
const bookkeeping = 'mana_missions_migrations';
const platformSets: Readonly<Record<'sync' | 'auth', PlatformSet>> = {
  sync: { folder: 'sync_changes', bookkeeping, schema: 'public', table: 'public.sync_changes' },
  auth: { folder: 'auth', bookkeeping, schema: 'auth', table: 'auth.encryption_vaults' },
};

/**
 * Brings schema mana_ai, and our rights on mana-sync's change log, up to date.
 *
 * Where the user does not own the change log, what its owner has to run is checked only.
 *
 * @param url connection string of the owner of database mana_sync, with CREATEROLE unless our roles exist
 * @throws MigrationRefusedError if something has to be done by hand first; Error from PostgreSQL otherwise
 */
export async function migrateSyncDatabase(url: string, options: MigrationOptions = {}): Promise<void> {
  await asMigrator(url, async (client) => {
    // What a file has to tell the operator it raises as a warning; the others are PostgreSQL's own remarks.
    client.on('notice', ({ severity, message }) => {
      if (severity === 'WARNING') options.log?.(`mana_ai: ${message}`);
    });
    await moveServiceBeforeAside(client, options.log);
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
  await asMigrator(url, (client) => runPlatformSet(client, platformSets.auth, options));
}

/** What mana-sync's and mana-auth's owner must run where we are not the owner. Safe to run again. */
export function platformSql(directory: string = migrationsDirectory): string {
  const parts = [
    { set: platformSets.sync, title: 'database mana_sync, as the owner of public.sync_changes' },
    { set: platformSets.auth, title: 'database mana_platform, as the owner of schema auth' },
  ];
  return parts
    .map(({ set, title }) => {
      const files = readMigrationFiles(join(directory, set.folder));
      const texts = files.map(({ fileName, sql }) => `-- ${set.folder}/${fileName}\n${sql.trim()}\n`);
      return [`-- ==== ${title} ====\n`, ...texts].join('\n');
    })
    .join('\n\n');
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
  const files = readMigrationFiles(join(options.directory ?? migrationsDirectory, set.folder));
  const run = (await runFiles(client, set.bookkeeping, files)).map(({ fileName }) => fileName);
  options.log?.(`${set.folder}: ${run.length === 0 ? 'up to date' : `applied ${run.join(', ')}`}`);
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
        'bin/yarn db:migrate --print-platform-sql prints what the owner must run',
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

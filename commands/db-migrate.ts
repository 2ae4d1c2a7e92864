/**
 * `yarn db:migrate`: brings databases mana_sync and mana_platform up to date. Connects as their owners
 * (MIGRATE_DATABASE_URL, MIGRATE_AUTH_DATABASE_URL); where we are not the owner, `--print-platform-sql` prints what
 * the owner must run. Running it again changes nothing.
 */
import { parseArgs } from 'node:util';
import { masked } from '#logging/masked.ts';
import { endCommandOnUncaughtErrors } from '#logging/uncaught-errors.ts';
import { migrateAuthDatabase, migrateSyncDatabase, platformSql } from '#migrations/migrate.ts';

endCommandOnUncaughtErrors('db:migrate');

const databases = [
  { variable: 'MIGRATE_DATABASE_URL', name: 'mana_sync', migrate: migrateSyncDatabase },
  { variable: 'MIGRATE_AUTH_DATABASE_URL', name: 'mana_platform', migrate: migrateAuthDatabase },
];

const options = { 'print-platform-sql': { type: 'boolean', default: false } } as const;

/** @returns what went wrong, or null */
async function migrateAll(): Promise<string | null> {
  if (databases.every(({ variable }) => !process.env[variable])) {
    return (
      'neither MIGRATE_DATABASE_URL nor MIGRATE_AUTH_DATABASE_URL is set: give the connection string of the owner of ' +
      'database mana_sync, of mana_platform, or both'
    );
  }
  for (const { variable, name, migrate } of databases) {
    const url = process.env[variable];
    if (!url) {
      console.log(`${name}: skipped, ${variable} is not set`);
      continue;
    }
    try {
      await migrate(url, { log: (message) => console.log(`${name}: ${message}`) });
    } catch (error) {
      // Only the message: an error of the driver holds the connection's settings.
      return `${name}: ${masked(messageOf(error), [url])}`;
    }
  }
  return null;
}

/** A connection that fails on all addresses of a host gives an AggregateError without a message. */
function messageOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(messageOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}

const { values } = parseArgs({ options });
if (values['print-platform-sql']) {
  process.stdout.write(platformSql());
} else {
  const problem = await migrateAll();
  if (problem !== null) {
    console.error(problem);
    process.exitCode = 1;
  }
}

/**
 * `bin/yarn missions migrate`: brings databases mana_sync and mana_platform up to date. Connects as their owners
 * (MIGRATE_DATABASE_URL, MIGRATE_AUTH_DATABASE_URL); where we are not the owner, `--print-platform-sql` prints what
 * the owner must run. Running it again changes nothing.
 */
import type { Command } from 'commander';
import { readSecret } from '#config/secret-file.ts';
import { masked } from '#logging/masked.ts';
import { migrateAuthDatabase, migrateSyncDatabase, platformSql } from '#migrations/migrate.ts';
import { messageOf, print } from './verb.ts';

const databases = [
  { variable: 'MIGRATE_DATABASE_URL', name: 'mana_sync', migrate: migrateSyncDatabase },
  { variable: 'MIGRATE_AUTH_DATABASE_URL', name: 'mana_platform', migrate: migrateAuthDatabase },
];

/** @returns what went wrong, or null */
async function migrateAll(verb: Command): Promise<string | null> {
  const urls = databases.map(({ variable }) => readSecret(process.env, variable));
  if (urls.every((url) => url === undefined)) {
    return (
      'neither MIGRATE_DATABASE_URL nor MIGRATE_AUTH_DATABASE_URL is set: give the connection string of the owner of ' +
      'database mana_sync, of mana_platform, or both'
    );
  }
  for (const [index, { variable, name, migrate }] of databases.entries()) {
    const url = urls[index];
    if (url === undefined) {
      say(verb, name, `skipped, ${variable} is not set`);
      continue;
    }
    try {
      await migrate(url, { log: (message) => say(verb, name, message) });
    } catch (error) {
      // Only the message: an error of the driver holds the connection's settings.
      return `${name}: ${masked(messageOf(error), [url])}`;
    }
  }
  return null;
}

const say = (verb: Command, database: string, message: string): void =>
  print(verb, { database, message }, `${database}: ${message}`);

export const addMigrate = (program: Command): void => {
  program
    .command('migrate')
    .description('brings databases mana_sync and mana_platform up to date; running it again changes nothing')
    .option(
      '--print-platform-sql',
      "print what the owners of the platform's tables have to run, and connect to nothing",
    )
    .addHelpText(
      'after',
      '\nEnvironment: MIGRATE_DATABASE_URL, MIGRATE_AUTH_DATABASE_URL (of the owners; at least one), or …_FILE',
    )
    .action(async (options: { readonly printPlatformSql?: boolean }, verb: Command) => {
      if (options.printPlatformSql === true) {
        process.stdout.write(platformSql());
        return;
      }
      const problem = await migrateAll(verb);
      if (problem === null) return;
      console.error(problem);
      process.exitCode = 1;
    });
};

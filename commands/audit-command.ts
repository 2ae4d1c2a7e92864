import { MaintenanceConfigurationError } from '#config/maintenance.ts';
import { openDatabase, type Database } from '#db/client.ts';
import { DatabaseUnavailableError } from '#domain/base/errors.ts';
import { masked } from '#logging/masked.ts';
import { endCommandOnUncaughtErrors } from '#logging/uncaught-errors.ts';
import { isMaintenanceUser } from '#db/maintenance.ts';

/** What an audit command found or did, one JSON line each on stdout. */
export type AuditLine = Readonly<Record<string, string | number | boolean | null>>;

export const printLine = (line: AuditLine): void => {
  process.stdout.write(`${JSON.stringify(line)}\n`);
};

/** The arguments do not say what to do; the message does. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/**
 * Runs one of the operator's audit commands with a database of its own. Exit code 0: done and nothing wrong; 1: something
 * is wrong, or the command could not be carried out.
 *
 * @param work resolves to whether all is well
 */
export async function runAuditCommand<Config extends { readonly databaseUrl: string }>(
  loadConfig: (env: NodeJS.ProcessEnv) => Config,
  work: (database: Database, config: Config) => Promise<boolean>,
): Promise<void> {
  endCommandOnUncaughtErrors('audit');
  let databaseUrl = '';
  try {
    const config = loadConfig(process.env);
    databaseUrl = config.databaseUrl;
    const database = openDatabase({
      url: databaseUrl,
      applicationName: 'mana-missions-audit',
      maxConnections: 1,
      // A command has no settings of its own: unnamed ones go through every pooler.
      preparedStatements: false,
    });
    try {
      if (!(await isMaintenanceUser(database.system))) {
        throw new UsageError(
          'the user of MAINTENANCE_DATABASE_URL is not a member of mana_missions_maintenance: make it one, or give another',
        );
      }
      if (!(await work(database, config))) process.exitCode = 1;
    } finally {
      await database.close();
    }
  } catch (error) {
    process.exitCode = 1;
    process.stderr.write(`${messageOf(error, databaseUrl)}\n`);
  }
}

function messageOf(error: unknown, databaseUrl: string): string {
  if (error instanceof MaintenanceConfigurationError) return error.message;
  if (!(error instanceof Error)) return 'the command failed';
  // What is in the way is said by the driver.
  if (error instanceof DatabaseUnavailableError) return messageOf(error.cause, databaseUrl);
  // A connection that fails on all addresses of a host gives an AggregateError without a message.
  const message =
    error instanceof AggregateError
      ? error.errors.map((inner) => messageOf(inner, databaseUrl)).join('; ')
      : error.message;
  return masked(message, [databaseUrl]);
}

/** An instant in ISO 8601 with its zone. */
export function instantArgument(name: string, text: string | undefined): string {
  const ms = /^\d{4}-\d\d-\d\d(T[\d:.]+(Z|[+-]\d\d:\d\d))?$/.test(text ?? '') ? Date.parse(text ?? '') : NaN;
  if (Number.isNaN(ms)) throw new UsageError(`--${name}: give an instant like 2026-01-31T00:00:00Z`);
  return new Date(ms).toISOString();
}

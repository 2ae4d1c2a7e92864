import { MaintenanceConfigurationError } from '#config/maintenance.ts';
import { openDatabase, type Database, type DatabaseLimits } from '#db/client.ts';
import { masked } from '#logging/masked.ts';
import { isMaintenanceUser } from '#db/maintenance.ts';
import { messageOf } from './verb.ts';

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
 * @param limits what differs from those of the service
 */
export async function runAuditCommand<Config extends { readonly databaseUrl: string }>(
  loadConfig: (env: NodeJS.ProcessEnv) => Config,
  work: (database: Database, config: Config) => Promise<boolean>,
  limits: Partial<DatabaseLimits> = {},
): Promise<void> {
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
      limits,
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
    const isOurs = error instanceof MaintenanceConfigurationError;
    process.stderr.write(`${isOurs ? error.message : masked(messageOf(error), [databaseUrl])}\n`);
  }
}

/** An instant in ISO 8601 with its zone. */
export function instantArgument(name: string, text: string | undefined): string {
  const ms = /^\d{4}-\d\d-\d\d(T[\d:.]+(Z|[+-]\d\d:\d\d))?$/.test(text ?? '') ? Date.parse(text ?? '') : NaN;
  if (Number.isNaN(ms)) throw new UsageError(`--${name}: give an instant like 2026-01-31T00:00:00Z`);
  return new Date(ms).toISOString();
}

import type { Config } from '#config.ts';
import { openDatabase, type Database } from '#db/client.ts';
import { lookAtConnection, type ConnectionKind } from '#db/connection-kind.ts';
import { readPlanningStop } from '#db/planning-stop.ts';
import { isMaintenanceUser } from '#db/maintenance.ts';
import { authDatabaseOf, checkDatabase, syncDatabaseOf, type ExpectedDatabase } from '#db/readiness.ts';
import type { Manifest, SchemaDifferences } from '#migrations/manifest.ts';
import { schemaDifferences } from '#migrations/schema-differences.ts';
import { fault, ok, unchecked, warning, type DoctorCheck, type Judgement } from '../finding.ts';

const APPLICATION_NAME = 'mana-missions-doctor';
const TIMEOUT_MS = 8_000;
/** Grants, revocations and budgets are decided by the database's clock, due times by Temporal's. */
const CLOCK_FAULT_MS = 60_000;
const CLOCK_WARNING_MS = 2_000;
/** So many names of a list are told. */
const NAMES_TOLD = 5;

/** A database as one process reaches it. */
export interface ReachedDatabase {
  /** `runner`, `vault sync` and so on. */
  readonly name: string;
  readonly url: string;
  readonly preparedStatements: boolean;
  /** One of them must hold. */
  readonly expected: readonly [ExpectedDatabase, ...ExpectedDatabase[]];
  readonly which: 'sync' | 'auth';
}

/** @param configs of the processes that this environment could start */
export function databasesOf(configs: readonly Config[]): ReachedDatabase[] {
  const all = configs.flatMap((config) => [
    ...('api' in config ? both('api', config.api) : []),
    ...('vault' in config ? both('vault', config.vault) : []),
    ...('runner' in config ? [reached('runner', 'sync', config.runner.syncDatabase)] : []),
    ...('projection' in config ? [reached('projection', 'sync', config.projection.syncDatabase)] : []),
  ]);
  return all.filter((database) => database.which === 'sync').concat(oneForBoth(all));
}

/** API and vault worker have users of their own, and an environment that is both's has one variable for them. */
function oneForBoth(all: readonly ReachedDatabase[]): ReachedDatabase[] {
  const [first, second] = all.filter(({ which }) => which === 'auth');
  if (first === undefined || second === undefined) return first === undefined ? [] : [first];
  if (first.url !== second.url) return [first, second];
  return [
    { ...first, name: 'api or vault, mana_platform', expected: [...first.expected, ...second.expected] },
  ];
}

type Settings = Config<'runner'>['runner']['syncDatabase'];
const both = (name: string, of: { syncDatabase: Settings; authDatabase: Settings }): ReachedDatabase[] => [
  reached(name, 'sync', of.syncDatabase),
  reached(name, 'auth', of.authDatabase),
];
function reached(
  role: string,
  which: 'sync' | 'auth',
  { url, preparedStatements }: Settings,
): ReachedDatabase {
  const group = `mana_missions_${role}`;
  const expected = which === 'sync' ? syncDatabaseOf(group) : authDatabaseOf(group);
  const name = `${role}, ${which === 'sync' ? 'mana_sync' : 'mana_platform'}`;
  return { name, url, preparedStatements, expected: [expected], which };
}

export function databaseChecks(
  databases: readonly ReachedDatabase[],
  maintenanceUrl: string | null,
): DoctorCheck[] {
  return [
    ...databases.map((database) => ({
      name: `database of ${database.name}`,
      look: () => rolesAndRows(database),
    })),
    ...databases.map((database) => ({
      name: `connection of ${database.name}`,
      look: () => connection(database),
    })),
    { name: 'database of maintenance', look: () => maintenance(maintenanceUrl) },
    { name: 'planning', look: () => planning(databases, maintenanceUrl) },
    { name: 'schema of mana_sync', look: () => schemas(databases, 'sync', ['mana_ai', 'public']) },
    { name: 'schema of mana_platform', look: () => schemas(databases, 'auth', ['auth']) },
  ];
}

async function withDatabase<T>(url: string, look: (database: Database) => Promise<T>): Promise<T> {
  const database = openDatabase({
    ...{ url, applicationName: APPLICATION_NAME, maxConnections: 1, preparedStatements: false },
    limits: { connectMs: TIMEOUT_MS, statementMs: TIMEOUT_MS },
  });
  try {
    return await look(database);
  } finally {
    await database.close();
  }
}

const ADVICE: readonly [RegExp, string][] = [
  [/not a member of (\S+)/, 'grant that role to the user of this URL'],
  [
    /row-level security/,
    'give the process a user of its own: no superuser, no BYPASSRLS, no owner of the tables',
  ],
  [/schema/, 'bin/yarn missions migrate'],
];

/** The question of `GET /ready`. */
async function rolesAndRows({ url, expected }: ReachedDatabase): Promise<Judgement> {
  return withDatabase(url, async (database) => {
    for (const each of expected) {
      if ((await checkDatabase(database, each)) === 'ok') return ok(inOrder(each));
    }
    const found = await checkDatabase(database, expected[0]);
    return fault(found, ADVICE.find(([reason]) => reason.test(found))?.[1] ?? 'see GET /ready');
  });
}

const inOrder = ({ role, schemaVersion }: ExpectedDatabase): string =>
  `answers, member of ${role}, row-level security applies${schemaVersion === null ? '' : `, schema at ${schemaVersion} or newer`}`;

async function connection(database: ReachedDatabase): Promise<Judgement[]> {
  const found = await lookAtConnection(database.url, {
    applicationName: APPLICATION_NAME,
    timeoutMs: TIMEOUT_MS,
  });
  return [
    { about: 'prepared statements', ...preparedStatements(found, database.preparedStatements) },
    { about: 'clock', ...judgeClock(found.clockAheadMs, found.clockErrorMs) },
  ];
}

function preparedStatements({ kind, keepsStatements }: ConnectionKind, areOn: boolean): Judgement {
  const on = `DATABASE_PREPARED_STATEMENTS is ${String(areOn)}`;
  if (kind !== 'transaction') {
    const what = kind === 'direct' ? 'PostgreSQL itself' : 'a pooler, in session mode as far as can be seen';
    return ok(`${what}, ${on}`);
  }
  if (!areOn) return ok(`a pooler in transaction mode, ${on}`);
  return keepsStatements === false
    ? fault(
        `a pooler in transaction mode that keeps no prepared statements, ${on}`,
        'set it to false (docs/operations.md, Poolers)',
      )
    : ok(`a pooler in transaction mode that keeps prepared statements, ${on}`);
}

/** @param aheadMs positive: the other clock is ahead of this machine's */
export function judgeClock(aheadMs: number, errorMs: number): Judgement {
  const beyondDoubt = Math.max(0, Math.abs(aheadMs) - errorMs);
  const found = `${Math.abs(aheadMs)} ms ${aheadMs < 0 ? 'behind' : 'ahead of'} this machine, give or take ${errorMs} ms`;
  const advice = 'synchronise the clocks of both machines (NTP): this one may be the wrong one';
  if (beyondDoubt > CLOCK_FAULT_MS) return fault(found, advice);
  return beyondDoubt > CLOCK_WARNING_MS ? warning(found, advice) : ok(found);
}

async function maintenance(url: string | null): Promise<Judgement> {
  if (url === null)
    return unchecked(
      'MAINTENANCE_DATABASE_URL is not set here',
      'bin/yarn missions audit needs it, no process may have it',
    );
  return withDatabase(url, async (database) => {
    return (await isMaintenanceUser(database.system))
      ? ok('answers, member of mana_missions_maintenance')
      : fault('user is not a member of mana_missions_maintenance', 'grant that role to the user of this URL');
  });
}

async function planning(
  databases: readonly ReachedDatabase[],
  maintenanceUrl: string | null,
): Promise<Judgement> {
  // The vault worker has no business with it.
  const seeing = databases.find(({ which, name }) => which === 'sync' && !name.startsWith('vault'));
  const url = seeing?.url ?? maintenanceUrl;
  if (url === null) return unchecked('no database user of this environment sees it');
  const stoppedAt = await withDatabase(url, (database) => readPlanningStop(database.system));
  return stoppedAt === null
    ? ok('goes on')
    : warning(
        `stopped by an operator since ${stoppedAt.toISOString()}`,
        'bin/yarn missions resume-all, unless that is meant',
      );
}

/** Tables, policies, functions and rights against what the migrations make; whoever may connect may look. */
async function schemas(
  databases: readonly ReachedDatabase[],
  which: 'sync' | 'auth',
  names: readonly (keyof Manifest)[],
): Promise<Judgement[]> {
  const database = databases.find((each) => each.which === which);
  if (database === undefined) return [unchecked('no process of this environment reaches it')];
  const found = await schemaDifferences(database.url, names, TIMEOUT_MS);
  return [...found].flatMap(([schema, differences]) =>
    judgeSchema(differences).map((judgement) => ({ about: schema, ...judgement })),
  );
}

function judgeSchema({ missing, extra, different }: SchemaDifferences): Judgement[] {
  const opens = extra.filter((name) => /^(policy|grant) /.test(name));
  const rest = extra.filter((name) => !opens.includes(name));
  const judgements = [
    ...listed(missing, (names) =>
      fault(
        `missing, or with other rights: ${names}`,
        // A migration that has been made is not made again: what somebody took away comes back by hand.
        'bin/yarn missions migrate, where the schema is older than this program; else their owner makes or grants them again, as migrations/manifest.json has them (platform objects: bin/yarn missions migrate --print-platform-sql)',
      ),
    ),
    ...listed(opens, (names) =>
      fault(
        `rights and policies that no migration of this version made: ${names}`,
        'drop or revoke them, unless a newer version made them',
      ),
    ),
    ...listed(rest, (names) =>
      warning(
        `objects that no migration of this version made: ${names}`,
        'find out who made them; a newer version may have',
      ),
    ),
    ...listed(different, (names) =>
      warning(
        `defined otherwise: ${names}`,
        'another version of PostgreSQL may print them otherwise; else find out who changed them',
      ),
    ),
  ];
  return judgements.length > 0
    ? judgements
    : [ok('tables, row-level security, policies and rights as migrated')];
}

function listed(names: readonly string[], judge: (names: string) => Judgement): Judgement[] {
  if (names.length === 0) return [];
  const more = names.length > NAMES_TOLD ? `, and ${names.length - NAMES_TOLD} more` : '';
  return [judge(`${names.slice(0, NAMES_TOLD).join(', ')}${more}`)];
}

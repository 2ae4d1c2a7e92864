import { escapeIdentifier, type Client } from 'pg';
import { MigrationRefusedError } from './files.ts';

/** Where its tables go; docs/upgrade-from-before.md names it to operators. */
const ASIDE = 'mana_ai_before';
/** Where ours goes when an operator goes back to it. */
const OURS_ASIDE = 'mana_ai_missions';
/** What it makes at its start, in schema `mana_ai` (docs/platform.md section 13). */
const ITS_TABLES = [
  'decrypt_audit',
  'mission_snapshots',
  'agent_snapshots',
  'mission_research_jobs',
  'token_usage',
];

/**
 * Moves the tables of the service that did this job before out of the way, where schema `mana_ai` is its own: one rename, which keeps rows,
 * indexes, rights and policies. A migration takes over from there what is not derived. The lock is the caller's.
 *
 * @throws MigrationRefusedError, before anything is changed, when they belong to somebody else, and when the name is taken
 */
export async function moveServiceBeforeAside(
  client: Client,
  log: ((message: string) => void) | undefined,
): Promise<void> {
  if (!(await isServiceBefore(client))) {
    // Moved by hand, or by somebody else: what is there is read and erased with our rights.
    await refuseIfForeign(client, ASIDE);
    return;
  }
  await refuseIfTaken(client);
  await refuseIfForeign(client, 'mana_ai');
  await client.query(`alter schema mana_ai rename to ${ASIDE}`);
  log?.(`mana_ai: moved the tables of the service before to schema ${ASIDE}`);
}

async function refuseIfTaken(client: Client): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    'select nspname as name from pg_namespace where nspname = any($1) order by nspname',
    [[ASIDE, OURS_ASIDE]],
  );
  const [taken] = rows;
  if (taken === undefined) return;
  const why =
    taken.name === ASIDE
      ? `and ${ASIDE}, where they would be moved, is there already`
      : `and ours were put away as ${OURS_ASIDE}`;
  throw new MigrationRefusedError(
    `schema mana_ai holds the tables of the service before, ${why}: docs/upgrade-from-before.md says what to run instead`,
  );
}

async function isServiceBefore(client: Client): Promise<boolean> {
  const { rows } = await client.query<{ name: string }>(
    `select relname as name from pg_class where relnamespace = to_regnamespace('mana_ai') and relkind in ('r', 'p')`,
  );
  const names = rows.map(({ name }) => name);
  return names.some((name) => ITS_TABLES.includes(name)) && !names.includes('migrations');
}

/** They are a superuser's as a rule. Who renames the schema has to own it, and who reads every row of its audit has to own that. */
async function refuseIfForeign(client: Client, schema: string): Promise<void> {
  const { rows } = await client.query<{ what: string; me: string }>(
    `select what, current_user as me from (
       select format('schema %I', nspname) as what, nspowner as owner, 0 as place from pg_namespace where nspname = $1
       union all
       select format('%s %I.%I', case relkind when 'v' then 'view' when 'm' then 'materialized view' else 'table' end, nspname, relname),
              relowner, 1
         from pg_class join pg_namespace on pg_namespace.oid = relnamespace
        where nspname = $1 and relkind in ('r', 'p', 'v', 'm')
     ) as things
     where not pg_has_role(current_user, owner, 'usage') order by place, what`,
    [schema],
  );
  if (rows.length === 0) return;
  const statements = rows.map(({ what, me }) => `  alter ${what} owner to ${escapeIdentifier(me)};`);
  throw new MigrationRefusedError(
    `schema ${schema} holds the tables of the service before, and they belong to somebody else. ` +
      `Their owner, or a superuser, has to run in this database, before the next try:\n${statements.join('\n')}`,
  );
}

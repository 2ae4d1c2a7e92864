import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Client } from 'pg';

/**
 * What the migrations make, as text: object name to definition. `mana_ai` is our schema with everything in it; `public`
 * and `auth` hold only what is ours there: rights of our roles, and policies and indexes named after us.
 */
export interface Manifest {
  readonly mana_ai: Description;
  readonly public: Description;
  readonly auth: Description;
}
export type Description = Readonly<Record<string, string>>;

export const manifestFile = 'manifest.json';

/** @param sync connected to database mana_sync @param auth connected to database mana_platform */
export async function describePlatform(sync: Client, auth: Client): Promise<Manifest> {
  return {
    mana_ai: await describeSchema(sync, 'mana_ai'),
    public: await describeSchema(sync, 'public'),
    auth: await describeSchema(auth, 'auth'),
  };
}

export const manifestText = (manifest: Manifest): string => `${JSON.stringify(manifest, null, 2)}\n`;

/**
 * What the owner of a schema has not run yet, one line for each object. Definitions are not compared but for rights:
 * PostgreSQL's versions print expressions differently.
 */
export async function missingFromManifest(
  client: Client,
  schema: 'public' | 'auth',
  migrationsDirectory: string,
): Promise<string[]> {
  const manifest = JSON.parse(readFileSync(join(migrationsDirectory, manifestFile), 'utf8')) as Manifest;
  const found = await describeSchema(client, schema);
  return Object.entries(manifest[schema]).flatMap(([name, definition]) => {
    const isThere = name.startsWith('grant ') ? found[name] === definition : found[name] !== undefined;
    return isThere ? [] : [name.startsWith('grant ') ? `${name}: ${definition}` : name];
  });
}

/** How a schema differs from what the migrations make of an empty platform. */
export interface SchemaDifferences {
  /** Not there, rights that differ, and tables without the row-level security that they should have. */
  readonly missing: readonly string[];
  /** There, and of no migration: a policy or a right that opens what should be closed, among others. */
  readonly extra: readonly string[];
  /** Defined otherwise, or printed otherwise by another version of PostgreSQL. */
  readonly different: readonly string[];
}

/** Compares names and definitions; whoever may connect may ask. */
export async function compareWithManifest(
  client: Client,
  schema: keyof Manifest,
  migrationsDirectory: string,
): Promise<SchemaDifferences> {
  const manifest = JSON.parse(readFileSync(join(migrationsDirectory, manifestFile), 'utf8')) as Manifest;
  const expected = manifest[schema];
  const found = await describeSchema(client, schema);
  const isExact = (name: string): boolean => name.startsWith('grant ') || name.startsWith('table ');
  const differing = Object.keys(expected).filter((name) => found[name] !== expected[name]);
  return {
    missing: differing.filter((name) => found[name] === undefined || isExact(name)),
    extra: Object.keys(found).filter((name) => expected[name] === undefined),
    different: differing.filter((name) => found[name] !== undefined && !isExact(name)),
  };
}

/** $1 is the schema, $2 whether everything in it is ours. The bookkeeping table is not described. */
const queries = [
  `select format('table %s', relname) as name,
          case when not relrowsecurity then 'no row security' when relforcerowsecurity then 'row security forced'
               else 'row security' end as definition
     from described where relkind in ('r', 'p') and $2`,
  `select format('column %s.%s', relname, attname) as name,
          concat_ws(' ', format_type(atttypid, atttypmod), case when attnotnull then 'not null' end,
                    'default ' || pg_get_expr(adbin, adrelid), 'generated ' || nullif(attgenerated::text, ''),
                    'identity ' || nullif(attidentity::text, '')) as definition
     from described
     join pg_catalog.pg_attribute on attrelid = described.oid and attnum > 0 and not attisdropped
     left join pg_catalog.pg_attrdef on adrelid = attrelid and adnum = attnum
    where relkind in ('r', 'p') and $2`,
  `select format('constraint %s.%s', relname, conname) as name, pg_get_constraintdef(pg_constraint.oid) as definition
     from described join pg_catalog.pg_constraint on conrelid = described.oid
    where contype <> 'n' and $2`,
  `select format('index %s', index.relname) as name, pg_get_indexdef(indexrelid) as definition
     from described
     join pg_catalog.pg_index on indrelid = described.oid
     join pg_catalog.pg_class index on index.oid = indexrelid
    where indisvalid and ($2 or index.relname like 'mana\\_missions\\_%')`,
  `select format('policy %s.%s', relname, polname) as name,
          concat_ws(' ', case when polpermissive then 'permissive' else 'restrictive' end, 'for',
                    case polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update'
                                when 'd' then 'delete' else 'all' end,
                    'to', (select string_agg(coalesce(rolname, 'public'), ', ' order by rolname)
                             from unnest(polroles) role left join pg_catalog.pg_roles on pg_roles.oid = role),
                    'using ' || pg_get_expr(polqual, polrelid),
                    'with check ' || pg_get_expr(polwithcheck, polrelid)) as definition
     from described join pg_catalog.pg_policy on polrelid = described.oid
    where $2 or polname like 'mana\\_missions\\_%'`,
  `select format('trigger %s.%s', relname, tgname) as name, pg_get_triggerdef(pg_trigger.oid) as definition
     from described join pg_catalog.pg_trigger on tgrelid = described.oid and not tgisinternal
    where $2`,
  `select format('function %s', pg_proc.oid::regprocedure) as name, pg_get_functiondef(pg_proc.oid) as definition
     from pg_catalog.pg_proc where pronamespace = to_regnamespace($1) and $2`,
  // Owners have every right on what is theirs, and are called differently everywhere.
  `select format('grant on %s to %s', relname, grantee) as name,
          string_agg(granted, ', ' order by granted) as definition
     from (
       select relname, grantee, privilege_type as granted, relowner as owner
         from described, aclexplode(relacl)
       union all
       select relname, grantee,
              format('%s (%s)', privilege_type, string_agg(attname, ', ' order by attname)), relowner
         from described
         join pg_catalog.pg_attribute on attrelid = described.oid and not attisdropped, aclexplode(attacl)
        group by relname, grantee, privilege_type, relowner
       union all
       select format('schema %s', nspname), grantee, privilege_type, nspowner
         from pg_catalog.pg_namespace, aclexplode(nspacl) where nspname = $1
     ) as rights (relname, grantee_oid, granted, owner)
     cross join lateral (
       select coalesce((select rolname from pg_catalog.pg_roles where oid = grantee_oid), 'public') as grantee
     ) as named
    where grantee_oid <> owner and ($2 or grantee like 'mana\\_missions\\_%')
    group by relname, grantee`,
];

async function describeSchema(client: Client, schema: 'mana_ai' | 'public' | 'auth'): Promise<Description> {
  const entries: [string, string][] = [];
  for (const query of queries) {
    const { rows } = await client.query<{ name: string; definition: string }>(
      `with described as (
         select * from pg_catalog.pg_class
          where relnamespace = to_regnamespace($1) and relkind in ('r', 'p', 'v', 'm', 'S')
            and not (relname = 'migrations' and $2)
       ) ${query}`,
      [schema, schema === 'mana_ai'],
    );
    entries.push(...rows.map((row): [string, string] => [row.name, row.definition]));
  }
  // Sorted by code units, so the file does not depend on the machine's language.
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

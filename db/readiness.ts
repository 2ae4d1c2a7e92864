import { readdirSync } from 'node:fs';
import type { Database } from './client.ts';

const MIGRATIONS = new URL('../migrations/mana_ai/', import.meta.url);

/** The number of the last migration of schema mana_ai that came with this program. */
export const EXPECTED_SCHEMA_VERSION = Math.max(
  ...readdirSync(MIGRATIONS).map((file) => Number.parseInt(file, 10)),
);

/** What a process expects of one of its databases. */
export interface ExpectedDatabase {
  /** The group role that its user is a member of. */
  readonly role: string;
  /** A table under row-level security in it. */
  readonly table: string;
  /** The last migration of schema mana_ai that the process was made for; null where the schema is not there. */
  readonly schemaVersion: number | null;
}

/**
 * Whether the database answers and is the right one, with the right user: row-level security applies to it, it is a member of
 * the role of its zone, the schema is not older than the program, and the server takes writes. A newer one is fine: migrations expand first.
 *
 * @returns `ok`, or what is wrong
 */
export async function checkDatabase(database: Database, expected: ExpectedDatabase): Promise<string> {
  const [found] = await database.system<
    {
      isSuperuser: boolean;
      onlyReads: boolean;
      isMember: boolean;
      tableExists: boolean;
      isSecured: boolean;
      hasVersions: boolean;
    }[]
  >`
    select rolsuper or rolbypassrls as "isSuperuser", current_setting('transaction_read_only') = 'on' as "onlyReads",
      exists (select from pg_catalog.pg_roles where rolname = ${expected.role})
        and pg_has_role(current_user, (select oid from pg_catalog.pg_roles where rolname = ${expected.role}), 'member')
        as "isMember",
      relation.oid is not null as "tableExists", coalesce(row_security_active(relation.oid), false) as "isSecured",
      exists (select from pg_catalog.pg_class where relname = 'migrations'
        and relnamespace = (select oid from pg_catalog.pg_namespace where nspname = 'mana_ai')) as "hasVersions"
    from pg_catalog.pg_roles
    left join pg_catalog.pg_class relation on relation.oid = (
      select classes.oid from pg_catalog.pg_class classes
      join pg_catalog.pg_namespace namespaces on namespaces.oid = relnamespace
      where nspname || '.' || relname = ${expected.table})
    where rolname = current_user`;
  if (found === undefined) return 'no answer';
  if (found.isSuperuser) return 'row-level security does not apply to this user';
  if (found.onlyReads) return 'the server only reads';
  if (!found.tableExists) return 'schema missing';
  if (!found.isMember) return `user is not a member of ${expected.role}`;
  if (!found.isSecured) return 'row-level security does not apply to this user';
  if (expected.schemaVersion === null) return 'ok';
  if (!found.hasVersions) return 'schema missing';
  const [row] = await database.system<
    { version: number | null }[]
  >`select max(id) as version from mana_ai.migrations`;
  return (row?.version ?? 0) >= expected.schemaVersion ? 'ok' : 'schema is older than this program';
}

/** Database mana_sync, for a process of this role. */
export const syncDatabaseOf = (role: string): ExpectedDatabase => ({
  role,
  table: 'public.sync_changes',
  schemaVersion: EXPECTED_SCHEMA_VERSION,
});

/** Database mana_platform. */
export const authDatabaseOf = (role: string): ExpectedDatabase => ({
  role,
  table: 'auth.encryption_vaults',
  schemaVersion: null,
});

import { escapeIdentifier, type Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDatabase } from '#db/client.ts';
import { inDatabase, withClient } from '#dev/platform-schema.ts';
import { UserErasedError } from '#domain/base/errors.ts';
import { toUserId } from '#domain/base/ids.ts';
import { createTestDatabases, type TestDatabases } from '#test/support/databases.ts';
import { waitUntil } from '#test/support/wait-until.ts';
import {
  ROLES,
  TABLES,
  VERBS,
  type Row,
  type Role,
  type Rule,
  type TableRights,
  type Verb,
} from './rights-matrix.ts';

/**
 * The expectations stand in rights-matrix.ts; here they are checked with the users that log in in production. Each cell
 * is checked twice: the catalog's rights on each column, and statements that run into rights and row-level security.
 */
const cells = TABLES.flatMap((table) => ROLES.map((role) => ({ table, role, name: table.name })));
const REFUSED = { code: '42501' };
/** Of a view with groups nobody can say what a write would mean. */
const NOT_WRITABLE = { code: '55000' };
const [ALICE, BOB, NOBODY] = ['alice', 'bob', ''] as const;
const USERS = [ALICE, BOB, NOBODY];

let databases: TestDatabases;
const clients = new Map<string, Client>();
const closing: (() => void)[] = [];
const closed: Promise<void>[] = [];

const urlOf = (role: Role, database: TableRights['database']): string => {
  const url = databases.urls[role].sync;
  if (database === 'sync') return url;
  return inDatabase(url, new URL(databases.superuser.authUrl).pathname.slice(1));
};

/** Keeps one connection open for each role and database: a hundred cells need not log in each. */
async function clientOf(role: Role, database: TableRights['database']): Promise<Client> {
  const key = `${role} ${database}`;
  const known = clients.get(key);
  if (known !== undefined) return known;
  const opened = Promise.withResolvers<Client>();
  const release = Promise.withResolvers<undefined>();
  closed.push(
    withClient(urlOf(role, database), async (client) => {
      opened.resolve(client);
      await release.promise;
    }),
  );
  closing.push(() => release.resolve(undefined));
  const client = await opened.promise;
  clients.set(key, client);
  return client;
}

beforeAll(async () => {
  databases = await createTestDatabases();
  for (const [database, url] of [['sync', databases.superuser.syncUrl], ['auth', databases.superuser.authUrl]] as const) {
    await withClient(url, async (client) => {
      for (const table of TABLES.filter((each) => each.database === database && !each.hasRowsAlready)) {
        for (const row of table.rows) await client.query(...insertOf(table, row));
      }
    });
  } // prettier-ignore
});
afterAll(async () => {
  for (const close of closing) close();
  await Promise.all(closed);
  await databases.drop();
});

/** One transaction as a user, undone afterwards. */
async function attempt<T>(client: Client, userId: string, work: () => Promise<T>): Promise<T> {
  await client.query('begin');
  try {
    if (userId !== NOBODY) await client.query(`select set_config('app.current_user_id', $1, true)`, [userId]);
    return await work();
  } finally {
    await client.query('rollback');
  }
}

const insertOf = (
  table: TableRights,
  row: Row,
  only: readonly string[] = Object.keys(row),
): [string, unknown[]] => {
  const columns = Object.keys(row).filter((column) => only.includes(column));
  const names = columns.map((column) => escapeIdentifier(column)).join(', ');
  const places = columns.map((_column, index) => `$${index + 1}`).join(', ');
  return [`insert into ${table.name} (${names}) values (${places})`, columns.map((column) => row[column])];
};

const columnsOf = async (client: Client, table: TableRights): Promise<string[]> => {
  const { rows } = await client.query<{ name: string }>(
    `select attname as name from pg_attribute
     join pg_class on pg_class.oid = attrelid join pg_namespace on pg_namespace.oid = relnamespace
     where nspname || '.' || relname = $1 and attnum > 0 and not attisdropped order by attnum`,
    [table.name],
  );
  return rows.map((row) => row.name);
};

const granted = (table: TableRights, role: Role, verb: Verb) => table.rights[role]?.[verb];
/** The columns of a right, written out. */
const columnsIn = (right: { readonly columns: '*' | readonly string[] }, all: readonly string[]) =>
  right.columns === '*' ? all : right.columns;

describe('the matrix', () => {
  it('has a row for every table and view of the schemas that we own or touch', async () => {
    const found: string[] = [];
    for (const [database, url] of [['sync', databases.superuser.syncUrl], ['auth', databases.superuser.authUrl]] as const) {
      const { rows } = await withClient(url, (client) =>
        client.query<{ name: string }>(
          `select nspname || '.' || relname as name from pg_class join pg_namespace on pg_namespace.oid = relnamespace
           where relkind in ('r', 'p', 'v', 'm', 'f')
             and nspname <> 'information_schema' and nspname not like 'pg\\_%'`,
        ),
      );
      found.push(...rows.map((row) => `${database} ${row.name}`));
    } // prettier-ignore
    const listed = TABLES.map((table) => `${table.database} ${table.name}`);
    expect(listed.toSorted()).toEqual(found.toSorted());
  });

  it('is about users who are nothing but members of one role of ours', async () => {
    for (const role of ROLES) {
      const client = await clientOf(role, 'sync');
      const { rows } = await client.query(
        `select rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication as "isMore",
           (select array_agg(groups.rolname::text) from pg_auth_members join pg_roles groups on groups.oid = roleid
            where member = users.oid) as groups,
           (select count(*)::int from pg_class where relowner = users.oid) as owned
         from pg_roles users where rolname = current_user`,
      );
      expect(rows).toEqual([{ isMore: false, groups: [`mana_missions_${role}`], owned: 0 }]);
    }
  });

  it('each sequence is the vault worker’s alone', async () => {
    for (const role of ROLES) {
      const client = await clientOf(role, 'sync');
      const { rows } = await client.query<{ name: string; verbs: string[] }>(
        `select relname as name, array(
           select verb from unnest(array['USAGE', 'SELECT', 'UPDATE']) verb
           where has_sequence_privilege(current_user, pg_class.oid, verb)) as verbs
         from pg_class where relkind = 'S'`,
      );
      expect(rows).toEqual([{ name: 'decrypt_audit_id_seq', verbs: role === 'vault' ? ['USAGE'] : [] }]);
    }
  });
});

describe.each(cells)('$role on $name', ({ table, role }) => {
  it('has the rights of the matrix on each column, and no others', async () => {
    const client = await clientOf(role, table.database);
    const all = await columnsOf(client, table);
    expect(all.length).toBeGreaterThan(0);
    for (const verb of ['select', 'insert', 'update'] as const) {
      const { rows } = await client.query<{ name: string }>(
        `select attname as name from pg_attribute
         join pg_class on pg_class.oid = attrelid join pg_namespace on pg_namespace.oid = relnamespace
         where nspname || '.' || relname = $1 and attnum > 0 and not attisdropped
           and has_column_privilege(current_user, pg_class.oid, attnum, $2)`,
        [table.name, verb],
      );
      const right = granted(table, role, verb);
      const expected = right === undefined ? [] : columnsIn(right, all);
      expect(rows.map((row) => row.name).toSorted(), verb).toEqual([...expected].toSorted());
    }
    const { rows: whole } = await client.query<{ verb: string }>(
      `select verb from pg_class join pg_namespace on pg_namespace.oid = relnamespace,
         unnest(array['delete', 'truncate', 'references', 'trigger']) verb
       where nspname || '.' || relname = $1 and has_table_privilege(current_user, pg_class.oid, verb)`,
      [table.name],
    );
    expect(whole.map((row) => row.verb)).toEqual(granted(table, role, 'delete') ? ['delete'] : []);
  });

  it('reaches the rows of the matrix: as one user, as another and as nobody', async () => {
    const client = await clientOf(role, table.database);
    const all = await columnsOf(client, table);
    for (const verb of VERBS) {
      const right = granted(table, role, verb);
      for (const userId of USERS) {
        if (right === undefined) await expectRefusal(client, table, verb, all, userId);
        else if (verb === 'insert')
          await expectInserts(client, table, right.rows, columnsIn(right, all), userId);
        else await expectReach(client, table, verb, right, all, userId);
      }
    }
  });
});

/** A statement of the verb that needs as little as can be. */
function statementOf(table: TableRights, verb: Exclude<Verb, 'insert'>, columns: readonly string[]): [string, unknown[]] {
  if (verb === 'select') return [`select ${columns.map((column) => escapeIdentifier(column)).join(', ')} from ${table.name}`, []];
  if (verb === 'delete') return [`delete from ${table.name}`, []];
  const row = table.rows[0] ?? {};
  const settable = columns.filter((column) => !table.key.includes(column) && column !== 'user_id' && column in row);
  const sets = settable.map((column, index) => `${escapeIdentifier(column)} = $${index + 1}`).join(', ');
  return [`update ${table.name} set ${sets}`, settable.map((column) => row[column])];
} // prettier-ignore

async function expectRefusal(
  client: Client,
  table: TableRights,
  verb: Verb,
  all: readonly string[],
  userId: string,
): Promise<void> {
  const statements: [string, unknown[]][] =
    verb === 'insert' ? table.candidates.map((row) => insertOf(table, row)) : [statementOf(table, verb, all)];
  for (const [sql, values] of statements) {
    await expect(
      attempt(client, userId, () => client.query(sql, values)),
      sql,
    ).rejects.toMatchObject(table.isGrouped === true && verb !== 'select' ? NOT_WRITABLE : REFUSED);
  }
}

async function expectReach(
  client: Client,
  table: TableRights,
  verb: Exclude<Verb, 'insert'>,
  right: { readonly columns: '*' | readonly string[]; readonly rows: Rule },
  all: readonly string[],
  userId: string,
): Promise<void> {
  const [sql, values] = statementOf(table, verb, columnsIn(right, all));
  const { rowCount } = await attempt(client, userId, () => client.query(sql, values));
  const expected = table.rows.filter((row) => right.rows(row, userId)).length;
  expect(rowCount, `${sql} as "${userId}"`).toBe(expected);
}

async function expectInserts(
  client: Client,
  table: TableRights,
  rule: Rule,
  columns: readonly string[],
  userId: string,
): Promise<void> {
  for (const row of table.candidates) {
    const [sql, values] = insertOf(table, row, columns);
    const inserting = attempt(client, userId, () => client.query(sql, values));
    const what = `${JSON.stringify(row)} as "${userId}"`;
    if (rule(row, userId)) expect((await inserting).rowCount, what).toBe(1);
    else await expect(inserting, what).rejects.toMatchObject(REFUSED);
  }
}

describe('a pooled connection', () => {
  it('comes back without a user, also after an error, and an empty user is refused before anything is sent', async () => {
    const database = openDatabase({
      url: databases.urls.runner.sync,
      applicationName: 'rights-test',
      maxConnections: 1,
    });
    const state = async () => {
      const [row] = await database.system<{ user: string | null; rows: number; pid: number }[]>`
        select current_setting('app.current_user_id', true) as user, pg_backend_pid() as pid,
          (select count(*)::int from public.sync_changes) as rows`;
      return row;
    };
    const before = await state();
    const seen = await database.asUser(
      toUserId(ALICE),
      (tx) => tx`select record_id from public.sync_changes where pg_backend_pid() = ${before?.pid ?? 0}`,
    );
    expect(seen.length).toBeGreaterThan(0);
    expect(await state()).toMatchObject({ user: '', rows: 0, pid: before?.pid });
    await expect(database.asUser(toUserId(ALICE), (tx) => tx`select 1 / 0`)).rejects.toMatchObject({
      code: '22012',
    });
    expect(await state()).toMatchObject({ user: '', rows: 0, pid: before?.pid });
    const sent: unknown[] = [];
    for (const empty of ['', '  ']) {
      await expect(
        database.asUser(empty as ReturnType<typeof toUserId>, (tx) => {
          sent.push(tx);
          return Promise.resolve();
        }),
      ).rejects.toThrow('user id: found an empty text');
    }
    expect(sent).toEqual([]);
    await database.close();
  });
});

/** Last, because Alice is gone afterwards. The rows of the matrix are in every table that has a `user_id`. */
describe('erasing a user', () => {
  const asSuperuser = async (text: string, values: readonly unknown[] = []) =>
    (await withClient(databases.superuser.syncUrl, (client) => client.query<Row>(text, [...values]))).rows;
  /** How many rows each table of ours has of a user. */
  const rowsOf = async (userId: string): Promise<Record<string, number>> => {
    const tables = await asSuperuser(
      `select table_name as name from information_schema.columns join information_schema.tables using (table_schema, table_name)
       where table_schema = 'mana_ai' and column_name = 'user_id' and table_type = 'BASE TABLE'`,
    );
    const counts = tables.map(async ({ name }) => {
      const [row] = await asSuperuser(
        `select count(*)::int as count from mana_ai.${String(name)} where user_id = $1`,
        [userId],
      );
      return [String(name), Number(row?.['count'])] as const;
    });
    return Object.fromEntries(await Promise.all(counts));
  };
  const erase = async (userId: string): Promise<void> => {
    const client = await clientOf('maintenance', 'sync');
    await client.query('select mana_ai.enter_erased_user($1)', [userId]);
    await client.query('select mana_ai.erase_user_rows($1)', [userId]);
  };

  it('every table with a user_id takes no row of an erased user', async () => {
    const tables = await asSuperuser(
      `select attrelid::regclass::text as name, exists (
         select from pg_trigger where tgrelid = attrelid and tgname = 'erased_users_have_none' and tgenabled = 'O') as guarded
       from pg_attribute join pg_class on pg_class.oid = attrelid
       where relnamespace = 'mana_ai'::regnamespace and relkind in ('r', 'p') and attname = 'user_id'`,
    );
    expect(tables.length).toBeGreaterThan(20);
    expect(tables.filter(({ guarded }) => guarded !== true)).toEqual([]);
  });

  it('leaves no row in any of them, and those of others as they are; and none comes back', async () => {
    await expect(
      (await clientOf('maintenance', 'sync')).query(`select mana_ai.erase_user_rows('alice')`),
    ).rejects.toThrow('has not been entered');
    const [alice, bob] = [await rowsOf(ALICE), await rowsOf(BOB)];
    // Or there would be nothing to erase.
    expect(Object.entries(alice).filter(([, count]) => count === 0)).toEqual([]);
    await erase(ALICE);
    const nothing = Object.fromEntries(Object.keys(alice).map((name) => [name, 0]));
    expect(await rowsOf(ALICE)).toEqual(nothing);
    expect(await rowsOf(BOB)).toEqual(bob);
    await erase(ALICE);

    for (const table of TABLES.filter(({ name }) =>
      Object.keys(alice).includes(name.replace('mana_ai.', '')),
    )) {
      for (const row of table.candidates.filter((each) => each['user_id'] === ALICE))
        await asSuperuser(...insertOf(table, row));
    }
    expect(await rowsOf(ALICE)).toEqual(nothing);
  });

  it('waits for a transaction that began before, erases what it wrote, and refuses those that come meanwhile', async () => {
    const runner = openDatabase({
      url: databases.urls.runner.sync,
      applicationName: 'rights-test',
      maxConnections: 2,
    });
    const carol = toUserId('carol');
    const write = (missionId: string) =>
      runner.asUser(
        carol,
        (tx) => tx`insert into mana_ai.missions_put_aside values (${tx.userId}, ${missionId}, now())`,
      );
    const [written, release] = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()];
    const before = runner.asUser(carol, async (tx) => {
      await tx`insert into mana_ai.missions_put_aside values (${tx.userId}, 'm', now())`;
      written.resolve(undefined);
      await release.promise;
    });
    await written.promise;
    const erased = erase(carol);
    await waitUntil('the command waits', async () => {
      const [row] = await asSuperuser(
        `select count(*)::int as count from pg_locks where not granted and locktype = 'advisory'`,
      );
      return row?.['count'] === 1;
    });
    await expect(write('meanwhile')).rejects.toThrow(UserErasedError);
    release.resolve(undefined);
    await before;
    await erased;
    expect(Object.values(await rowsOf(carol)).filter((count) => count > 0)).toEqual([]);
    await expect(write('afterwards')).rejects.toThrow(UserErasedError);

    // The way back from a mistake, for the owner (docs/operations.md).
    await asSuperuser(`delete from mana_ai.erased_users where user_sha256 = sha256(convert_to($1, 'UTF8'))`, [
      carol,
    ]);
    await write('afterwards');
    expect(await rowsOf(carol)).toMatchObject({ missions_put_aside: 1 });
    await runner.close();
  });
});

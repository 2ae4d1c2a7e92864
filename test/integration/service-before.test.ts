import { randomBytes } from 'node:crypto';
import type { Client } from 'pg';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { checkChain } from '#commands/audit-chain-check.ts';
import { openDatabase } from '#db/client.ts';
import { inDatabase, withClient } from '#dev/platform-schema.ts';
import { migrateSyncDatabase } from '#migrations/migrate.ts';
import { MigrationRefusedError } from '#migrations/files.ts';
import { startServiceBefore, workAsServiceBefore } from '#test/support/service-before.ts';
import { waitUntil } from '#test/support/wait-until.ts';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..', '..');
const platform = inject('platform');
let name: string;
let told: string[];
const urlOf = (url: string): string => inDatabase(url, name);
const asSuperuser = <T>(work: (client: Client) => Promise<T>): Promise<T> =>
  withClient(urlOf(platform.superuser.syncUrl), work);
const query = (sql: string, values: unknown[] = []) =>
  asSuperuser(async (client) => (await client.query<Record<string, unknown>>(sql, values)).rows);
const migrate = (url = platform.syncOwnerUrl): Promise<void> =>
  migrateSyncDatabase(urlOf(url), { log: (message) => told.push(message) });

/** What a superuser has to run first, as the refusal prints it. */
async function handOver(): Promise<void> {
  const refusal = await migrate().then(
    () => new Error('migrated without asking'),
    (error: unknown) => error as Error,
  );
  expect(refusal).toBeInstanceOf(MigrationRefusedError);
  const [, sql = ''] = refusal.message.split('before the next try:\n');
  await query(sql);
}

beforeEach(async () => {
  told = [];
  name = `test_before_${randomBytes(6).toString('hex')}`;
  await withClient(inject('postgresUrl'), (client) =>
    client.query(`create database ${name} owner mana_sync_owner`),
  );
  await withClient(urlOf(platform.syncOwnerUrl), (client) =>
    client.query(readFileSync(resolve(root, 'dev', 'platform-schema.sync.sql'), 'utf8')),
  );
  await asSuperuser(async (client) => {
    await startServiceBefore(client);
    await workAsServiceBefore(client, 30);
  });
});
afterEach(() =>
  withClient(inject('postgresUrl'), (client) => client.query(`drop database ${name} with (force)`)),
);

const AUDIT = 'select id, user_id, mission_id, iteration_id, table_name, record_id, status, reason, ts from';
/** Its tables with their owners, indexes and policies. */
const shapeOf = (schema: string) =>
  query(
    `select relname, relkind, relowner::regrole::text as owner, relrowsecurity, coalesce(pg_get_indexdef(oid), '') as index,
            (select string_agg(polname || pg_get_expr(polqual, polrelid), ',') from pg_policy where polrelid = pg_class.oid) as policies
     from pg_class where relnamespace = $1::regnamespace order by relname`,
    [schema],
  ); // prettier-ignore
/** Every row of a table that has users, by the table's name; of one user, if one is given. */
async function rowsOf(schema: string, userId: string | null = null): Promise<Record<string, unknown[]>> {
  const tables = await query(
    `select table_name as name from information_schema.columns where table_schema = $1 and column_name = 'user_id' order by 1`,
    [schema],
  ); // prettier-ignore
  const found: Record<string, unknown[]> = {};
  for (const { name: table } of tables) {
    const rows = `select to_jsonb(rows) as row from ${schema}.${String(table)} as rows where user_id = $1 or $1 is null order by 1`;
    found[String(table)] = await query(rows, [userId]);
  }
  return found;
}

async function chains(): Promise<Record<string, { rows: number; findings: unknown }>> {
  const maintenance = openDatabase({
    url: urlOf(platform.urls.maintenance.sync),
    applicationName: 'audit-test',
    maxConnections: 1,
  });
  try {
    const users = await query('select distinct user_id as "userId" from mana_ai.decrypt_audit order by 1');
    const checked = users.map(async ({ userId }): Promise<[string, { rows: number; findings: unknown }]> => {
      const chain = await maintenance.asSystem((tx) => checkChain(tx, String(userId), { publicKeys: [] }));
      return [String(userId), { rows: chain.rows, findings: chain.findings }];
    });
    return Object.fromEntries(await Promise.all(checked));
  } finally {
    await maintenance.close();
  }
}

/** The blocks of SQL under a heading of the page that operators follow. */
const sqlOf = (heading: string): string => {
  const page = readFileSync(resolve(root, 'docs', 'upgrade-from-before.md'), 'utf8');
  const section = page.split(/^## /m).find((part) => part.startsWith(heading)) ?? '';
  return [...section.matchAll(/^ *```sql\n(.*?)^ *```/gms)].map(([, sql]) => sql).join('\n');
};
const auditOf = (schema: string) => query(`${AUDIT} ${schema}.decrypt_audit order by id`);

describe('yarn missions migrate where the service before ran', () => {
  it('moves its tables aside as they are, takes over and chains its audit, and does so once', async () => {
    await handOver();
    const [shape, rows] = [await shapeOf('mana_ai'), await rowsOf('mana_ai')];
    const audit = await auditOf('mana_ai');
    await Promise.all([migrate(), migrate()]);
    const renamed = JSON.stringify(shape).replaceAll('mana_ai.', 'mana_ai_before.');
    expect(JSON.stringify(await shapeOf('mana_ai_before'))).toBe(renamed);
    expect(await rowsOf('mana_ai_before')).toEqual(rows);
    expect(await auditOf('mana_ai')).toEqual(audit);
    const clean = { rows: 10, findings: [] };
    expect(await chains()).toEqual({ 'user-0': clean, 'user-1': clean, 'user-2': clean });
    expect(told.slice(0, 2)).toEqual([
      'mana_ai: moved the tables of the service before to schema mana_ai_before',
      'mana_ai: audit rows of the service before: 30 taken over, 0 left in mana_ai_before.decrypt_audit',
    ]);
    expect(await query('select user_id, mission_id, task_id from mana_ai.research_before order by 1')).toEqual([
      { user_id: 'user-0', mission_id: 'm0', task_id: 'task-of-before' },
      { user_id: 'user-1', mission_id: 'm1', task_id: '' },
    ]);

    const after = await rowsOf('mana_ai');
    await migrate();
    expect(await rowsOf('mana_ai')).toEqual(after);
    expect(told.at(-2)).toBe('mana_ai: up to date');

    // Who is erased now is erased in both places.
    await withClient(urlOf(platform.urls.maintenance.sync), (client) =>
      client.query(`select mana_ai.erase_decrypt_audit('user-0')`),
    );
    for (const schema of ['mana_ai', 'mana_ai_before']) {
      const left = Object.entries(await rowsOf(schema, 'user-0')).filter(([, found]) => found.length > 0);
      expect(left).toEqual([]);
    }
    expect(await auditOf('mana_ai_before')).toHaveLength(20);
  });

  it('changes nothing where the tables are another’s, or where they would go is taken', async () => {
    const before = await shapeOf('mana_ai');
    await expect(migrate()).rejects.toThrow(/alter schema mana_ai owner to "?mana_sync_owner"?;\n.*alter table mana_ai\.agent_snapshots/s);
    expect(await shapeOf('mana_ai')).toEqual(before);
    // Interrupted after the move, here one by hand, and the older service was started again.
    await query('alter schema mana_ai rename to mana_ai_before');
    await handOver();
    await query('alter table mana_ai_before.decrypt_audit force row level security');
    await asSuperuser(async (client) => {
      await startServiceBefore(client);
      await workAsServiceBefore(client, 3);
    });
    await expect(migrate()).rejects.toThrow('mana_ai_before, where they would be moved, is there already');
    expect(await query(`select to_regclass('mana_ai.migrations') as ours`)).toEqual([{ ours: null }]);
    await query(sqlOf('In this order'));
    await migrate();
    expect(await auditOf('mana_ai')).toHaveLength(33);
    expect(await query(`select relforcerowsecurity as forced from pg_class
                         where oid = any(array['mana_ai.decrypt_audit', 'mana_ai_before.decrypt_audit']::regclass[])`))
      .toEqual([{ forced: true }, { forced: true }]);
  });

  it('waits for rows that are being written, and leaves what is no row of ours', async () => {
    await handOver();
    await query(`alter table mana_ai.decrypt_audit drop constraint decrypt_audit_status_check,
                   alter column mission_id drop not null`);
    await query(`insert into mana_ai.decrypt_audit (user_id, mission_id, table_name, record_id, status, ts) values
                   ('', 'm', 't', 'r', 'ok', now()), ('user-3', null, 't', 'r', 'ok', now()),
                   ('user-3', 'm', 't', 'r', 'odd', now()), ('user-3', 'm', 't', 'r', 'ok', 'infinity')`);
    await asSuperuser(async (writer) => {
      await writer.query('begin');
      await writer.query(`insert into mana_ai.decrypt_audit (user_id, mission_id, table_name, record_id, status)
                          values ('user-3', 'm', 't', 'late', 'ok')`);
      const migrating = migrate();
      await waitUntil('the copy waits for the writer', async () =>
        (await query(`select from pg_locks where not granted and relation = 'mana_ai_before.decrypt_audit'::regclass`)
          .catch(() => [])).length > 0);
      await writer.query('commit');
      await migrating;
    });
    const kept = await query(`select record_id from mana_ai.decrypt_audit where user_id not in ('user-0', 'user-1', 'user-2')`);
    expect(kept).toEqual([{ record_id: 'late' }]);
    expect(told[1]).toContain('31 taken over, 4 left in mana_ai_before.decrypt_audit');
  });

  it('as a superuser needs nothing to be handed over; when the other starts again, it cannot plan, and its audit rows are chained', async () => {
    await migrate(platform.superuser.syncUrl);
    await asSuperuser(async (client) => {
      const before = new Set((await shapeOf('mana_ai')).map(({ relname }) => relname));
      await startServiceBefore(client);
      const made = (await shapeOf('mana_ai')).filter(({ relkind, relname }) => relkind === 'r' && !before.has(relname));
      expect(made.map(({ relname }) => relname)).toEqual(['mission_research_jobs']);
      await client.query(`insert into mana_ai.decrypt_audit (user_id, mission_id, table_name, record_id, status)
                          values ('user-0', 'm', 't', 'r', 'ok')`);
      await expect(client.query(`insert into mana_ai.mission_snapshots (user_id, mission_id, record) values ('u', 'm', '{}')`))
        .rejects.toThrow('column "record"');
    });
    expect((await chains())['user-0']).toEqual({ rows: 11, findings: [] });
    await migrate(platform.superuser.syncUrl);
    expect(told.at(-2)).toBe('mana_ai: up to date');
  });

  it('can be undone and done again by the SQL of docs/upgrade-from-before.md, and no audit row is lost on the way', async () => {
    await handOver();
    await migrate();
    const add = (record: string, user = 'user-0') =>
      query(`insert into mana_ai.decrypt_audit (user_id, mission_id, table_name, record_id, status) values ($1, 'm', 't', $2, 'ok')`, [user, record]);
    await add('ours');
    await query(`insert into mana_ai.research_tasks (user_id, iteration_id, mission_id, kind, state, task_id)
                 values ('user-2', 'it', 'm2', 'deep', 'submitted', 'task-of-ours')`);
    expect(await query(sqlOf('Grants'))).toEqual([{ count: '0' }]);
    await query(sqlOf('Going back'));
    await asSuperuser(startServiceBefore);
    await add('theirs');
    await add('theirs', 'user-new');
    expect(await auditOf('mana_ai')).toHaveLength(33);
    expect(await query(`select task_id from mana_ai.mission_research_jobs order by 1`)).toHaveLength(3);
    await expect(migrate()).rejects.toThrow('ours were put away as mana_ai_missions');
    await query(sqlOf('Coming again'));
    await migrate();
    await add('ours again');
    expect((await auditOf('mana_ai')).map((row) => row['record_id']).slice(-4)).toEqual(['ours', 'theirs', 'theirs', 'ours again']);
    expect(await chains()).toMatchObject({
      'user-0': { rows: 13, findings: [] }, 'user-1': { rows: 10, findings: [] }, 'user-new': { rows: 1, findings: [] },
    });
    expect(await query(`select task_id from mana_ai.research_before order by 1`)).toHaveLength(3);
  });
}); // prettier-ignore

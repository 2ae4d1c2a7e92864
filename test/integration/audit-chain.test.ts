import fc from 'fast-check';
import { randomUUID } from 'node:crypto';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { logAuditHeads } from '../../activities/projection/log-audit-heads.ts';
import { openDatabase } from '../../db/client.ts';
import type { Database } from '../../db/client.ts';
import { inDatabase, withClient } from '../../dev/platform-schema.ts';
import { checkChain } from '../../scripts/audit-chain-check.ts';
import { migrateSyncDatabase } from '../../migrations/migrate.ts';
import { createActivityHarness } from '../support/activity-dependencies.ts';
import { addAuditRows, asUser, insertAuditRow, readSeqs, tamper } from '../support/audit-rows.ts';
import { runAuditScript } from '../support/audit-commands.ts';
import { createTestDatabases } from '../support/databases.ts';
import type { TestDatabases } from '../support/databases.ts';

let databases: TestDatabases;
let maintenance: Database;
beforeAll(async () => {
  databases = await createTestDatabases();
  maintenance = openDatabase({
    url: databases.urls.maintenance.sync,
    applicationName: 'audit-test',
    maxConnections: 1,
  });
});
afterAll(async () => {
  await maintenance.close();
  await databases.drop();
});

const newUser = (): string => `user-${randomUUID()}`;
const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);
const asSuperuser = <T>(work: (client: Client) => Promise<T>): Promise<T> =>
  withClient(databases.superuser.syncUrl, work);
const asVault = <T>(work: (client: Client) => Promise<T>): Promise<T> =>
  withClient(databases.urls.vault.sync, work);

/** What the second implementation says about a chain: problems and number of rows. */
const check = (userId: string) =>
  maintenance.asSystem(async (tx) => {
    const { findings, rows } = await checkChain(tx, userId, { publicKeys: [] });
    return { findings: findings.map(({ kind, fromSeq }) => `${kind} ${fromSeq}`), rows };
  });

describe('a row of the decrypt audit', () => {
  it('gets the hash that the implementation in TypeScript computes, whatever it holds', async () => {
    const userId = `${newUser()}-ü€𝄞`;
    const text = fc.string({ unit: 'grapheme', maxLength: 20 }).filter((value) => !value.includes('\0'));
    const rows = fc.sample(
      fc.record({
        missionId: text,
        iterationId: fc.option(text),
        tableName: text,
        recordId: text,
        status: fc.constantFrom('ok', 'failed', 'scope-violation'),
        reason: fc.option(text),
        // 4713 BC to 294246 AD: the range of the type as far as 64 bits of microseconds since 1970 reach.
        tsMicros: fc.oneof(
          fc.bigInt({ min: -210866803200000000n, max: 9223339708799999999n }),
          fc.bigInt({ min: -10n, max: 10n }),
        ),
      }),
      1000,
    );
    await asSuperuser((client) =>
      asUser(client, userId, async () => {
        for (const row of rows) {
          await client.query(
            `insert into mana_ai.decrypt_audit
               (user_id, mission_id, iteration_id, table_name, record_id, status, reason, ts)
             values ($1, $2, $3, $4, $5, $6, $7,
               timestamptz 'epoch' + $8::bigint / 86400000000 * interval '1 day'
                 + $8::bigint % 86400000000 * interval '1 microsecond')`,
            [userId, row.missionId, row.iterationId, row.tableName, row.recordId, row.status, row.reason,
             String(row.tsMicros)], // prettier-ignore
          );
        }
      }),
    );
    expect(await check(userId)).toEqual({ findings: [], rows: rows.length });
  });

  it('is refused with an infinite time, which no device could read', async () => {
    const userId = newUser();
    for (const ts of ['infinity', '-infinity']) {
      const inserting = asSuperuser((client) =>
        client.query(
          `insert into mana_ai.decrypt_audit (user_id, mission_id, table_name, record_id, status, ts)
           values ($1, 'm', 't', 'r', 'ok', $2)`,
          [userId, ts],
        ),
      );
      await expect(inserting).rejects.toMatchObject({ code: '23514' });
    }
    expect(await readSeqs(databases, userId)).toEqual([]);
  });

  it('continues its chain with an id and a time of its own, as other services give them', async () => {
    const userId = newUser();
    await addAuditRows(databases, userId, 2);
    await asSuperuser((client) =>
      client.query(
        `insert into mana_ai.decrypt_audit (id, user_id, mission_id, iteration_id, table_name, record_id, status, reason, ts)
         values (-5, $1, 'm', null, 't', 'r', 'failed', 'undecryptable: title', '2020-01-01')`,
        [userId],
      ),
    );
    await addAuditRows(databases, userId, 1);
    expect(await check(userId)).toEqual({ findings: [], rows: 4 });
  });

  it('never keeps a seq or hash that was given with it', async () => {
    const userId = newUser();
    await asSuperuser((client) =>
      client.query(
        `insert into mana_ai.decrypt_audit (user_id, mission_id, table_name, record_id, status, seq, hash)
         values ($1, 'm', 't', 'r', 'ok', 77, sha256('x')), ($1, 'm', 't', 'r', 'ok', -1, null)`,
        [userId],
      ),
    );
    expect(await readSeqs(databases, userId)).toEqual([1, 2]);
    expect((await check(userId)).findings).toEqual([]);
  });

  it('cannot be given either by the vault worker', async () => {
    const userId = newUser();
    const giving = asVault((client) =>
      asUser(client, userId, () =>
        client.query(
          `insert into mana_ai.decrypt_audit (user_id, mission_id, table_name, record_id, status, seq)
           values ($1, 'm', 't', 'r', 'ok', 1)`,
          [userId],
        ),
      ),
    );
    await expect(giving).rejects.toMatchObject({ code: '42501' });
  });
});

describe('a chain has no gaps', () => {
  it('when one statement inserts many rows', async () => {
    const userId = newUser();
    await addAuditRows(databases, userId, 500);
    await addAuditRows(databases, userId, 500);
    expect(await readSeqs(databases, userId)).toEqual(upTo(1000));
    expect((await check(userId)).findings).toEqual([]);
  });

  it('when a statement inserts rows of several users, in any order', async () => {
    const [one, two] = [newUser(), newUser()];
    await asSuperuser((client) =>
      client.query(
        `insert into mana_ai.decrypt_audit (user_id, mission_id, table_name, record_id, status)
         select case when n % 3 = 0 then $1 else $2 end, 'm', 't', 'r' || n, 'ok' from generate_series(1, 30) as n`,
        [one, two],
      ),
    );
    expect(await readSeqs(databases, one)).toEqual(upTo(10));
    expect(await readSeqs(databases, two)).toEqual(upTo(20));
    for (const userId of [one, two]) expect((await check(userId)).findings).toEqual([]);
  });

  it('when a row is not inserted after all: a conflict, a savepoint, a rollback', async () => {
    const userId = newUser();
    await asSuperuser((client) =>
      asUser(client, userId, async () => {
        await insertAuditRow(client, userId);
        const { rows } = await client.query<{ id: string }>(
          'select max(id) as id from mana_ai.decrypt_audit where user_id = $1',
          [userId],
        );
        await client.query(
          `insert into mana_ai.decrypt_audit (id, user_id, mission_id, table_name, record_id, status)
           values ($2, $1, 'm', 't', 'r', 'ok'), (default, $1, 'm', 't', 'r', 'ok') on conflict (id) do nothing`,
          [userId, rows[0]?.id],
        );
        await client.query('savepoint before');
        await insertAuditRow(client, userId);
        await client.query('rollback to before');
        await insertAuditRow(client, userId);
      }),
    );
    const abandoned = asVault((client) =>
      asUser(client, userId, async () => {
        await insertAuditRow(client, userId);
        throw new Error('abandoned');
      }),
    );
    await expect(abandoned).rejects.toThrow('abandoned');
    await addAuditRows(databases, userId, 1);
    expect(await readSeqs(databases, userId)).toEqual([1, 2, 3, 4]);
    expect((await check(userId)).findings).toEqual([]);
  });

  it('when twelve connections write to two users at once, several rows in each transaction', async () => {
    const users = [newUser(), newUser()];
    const writers = upTo(12).map((writer) =>
      asVault(async (client) => {
        const userId = users[writer % 2] ?? '';
        for (let round = 0; round < 10; round += 1) {
          await asUser(client, userId, async () => {
            await insertAuditRow(client, userId, { recordId: `${writer}-${round}` });
            await insertAuditRow(client, userId, { recordId: `${writer}-${round}-again` });
          });
        }
      }),
    );
    await Promise.all(writers);
    for (const userId of users) {
      expect(await readSeqs(databases, userId)).toEqual(upTo(120));
      expect(await check(userId)).toEqual({ findings: [], rows: 120 });
    }
  });
});

it('a repeatable read transaction that was overtaken fails and leaves the chain whole', async () => {
  const userId = newUser();
  await addAuditRows(databases, userId, 1);
  await asVault(async (client) => {
    await client.query('begin isolation level repeatable read');
    await client.query(`select set_config('app.current_user_id', $1, true)`, [userId]);
    await client.query('select count(id) from mana_ai.decrypt_audit');
    await addAuditRows(databases, userId, 1);
    await expect(insertAuditRow(client, userId)).rejects.toMatchObject({ code: '23505' });
    await client.query('rollback');
  });
  await addAuditRows(databases, userId, 1);
  expect(await check(userId)).toEqual({ findings: [], rows: 3 });
});

describe('no two writers wait for each other', () => {
  const insertBoth = (client: Client, first: string, second: string) =>
    client.query(
      `insert into mana_ai.decrypt_audit (user_id, mission_id, table_name, record_id, status)
       select case when n <= 50 then $1 else $2 end, 'm', 't', 'r' || n, 'ok' from generate_series(1, 100) as n`,
      [first, second],
    );

  it('when statements insert rows of two users in opposite orders, while others write under row-level security', async () => {
    const [one, two] = [newUser(), newUser()];
    const repeat = (url: string, work: (client: Client) => Promise<unknown>) =>
      withClient(url, async (client) => {
        for (let round = 0; round < 10; round += 1) await work(client);
      });
    await Promise.all([
      repeat(databases.superuser.syncUrl, (client) => insertBoth(client, one, two)),
      repeat(databases.superuser.syncUrl, (client) => insertBoth(client, two, one)),
      repeat(databases.urls.vault.sync, (client) => asUser(client, one, () => insertAuditRow(client, one))),
      repeat(databases.urls.vault.sync, (client) => asUser(client, two, () => insertAuditRow(client, two))),
    ]);
    for (const userId of [one, two]) {
      expect(await readSeqs(databases, userId)).toEqual(upTo(1010));
      expect((await check(userId)).findings).toEqual([]);
    }
  });

  it('when transactions change their user: the one that would wait is told to try again, at once', async () => {
    const [one, two] = [newUser(), newUser()];
    await asVault((first) =>
      asVault(async (second) => {
        const become = (client: Client, userId: string) =>
          client.query(`select set_config('app.current_user_id', $1, true)`, [userId]);
        await first.query('begin');
        await second.query('begin');
        await become(first, one);
        await insertAuditRow(first, one);
        await become(second, two);
        await insertAuditRow(second, two);
        await become(first, two);
        await expect(insertAuditRow(first, two)).rejects.toMatchObject({ code: '40001' });
        await first.query('rollback');
        await become(second, one);
        await insertAuditRow(second, one);
        await second.query('commit');
      }),
    );
    expect(await readSeqs(databases, one)).toEqual([1]);
    expect(await readSeqs(databases, two)).toEqual([1]);
  });
});

describe('who may change the decrypt audit', () => {
  const changes = [
    `update mana_ai.decrypt_audit set reason = 'x'`,
    'delete from mana_ai.decrypt_audit',
    'truncate mana_ai.decrypt_audit cascade',
    `insert into mana_ai.decrypt_audit (id, user_id, mission_id, table_name, record_id, status)
     select id, user_id, 'm', 't', 'r', 'ok' from mana_ai.decrypt_audit limit 1
     on conflict (id) do update set reason = 'x'`,
  ];
  const refused = { code: '42501' };

  it.each(['api', 'vault', 'runner', 'projection', 'maintenance'] as const)('not %s', async (role) => {
    const userId = newUser();
    await addAuditRows(databases, userId, 1);
    for (const sql of changes) {
      const changing = withClient(databases.urls[role].sync, (client) =>
        asUser(client, userId, () => client.query(sql)),
      );
      await expect(changing, sql).rejects.toMatchObject(refused);
    }
  });

  it('not its owner, and not a superuser, also not as somebody else', async () => {
    const userId = newUser();
    await addAuditRows(databases, userId, 1);
    const { owner } = await asSuperuser(async (client) => {
      const { rows } = await client.query<{ owner: string }>(
        `select tableowner as owner from pg_tables where schemaname = 'mana_ai' and tablename = 'decrypt_audit'`,
      );
      return rows[0] ?? { owner: '' };
    });
    for (const sql of changes) {
      const byOwner = withClient(databases.syncOwnerUrl, (client) =>
        asUser(client, userId, () => client.query(sql)),
      );
      await expect(byOwner, sql).rejects.toMatchObject(refused);
      for (const role of ['postgres', owner, 'maintenance_user']) {
        const bySuperuser = asSuperuser((client) =>
          asUser(client, userId, async () => {
            await client.query(`set local role ${role}`);
            await client.query(sql);
          }),
        );
        await expect(bySuperuser, `${role}: ${sql}`).rejects.toMatchObject(refused);
      }
    }
    expect(await readSeqs(databases, userId)).toEqual([1]);
  });

  it('not a maintenance user that the owner’s role was given to as well', async () => {
    const userId = newUser();
    await addAuditRows(databases, userId, 1);
    await asSuperuser(async (client) => {
      await client.query(
        `create role operator_with_all login password 'p' in role mana_missions_maintenance, mana_sync_owner`,
      );
    });
    const url = new URL(databases.superuser.syncUrl);
    url.username = 'operator_with_all';
    url.password = 'p';
    try {
      for (const becoming of ['select 1', 'set local role mana_sync_owner']) {
        const deleting = withClient(url.href, (client) =>
          asUser(client, userId, async () => {
            await client.query(becoming);
            await client.query('delete from mana_ai.decrypt_audit');
          }),
        );
        await expect(deleting).rejects.toMatchObject(refused);
      }
    } finally {
      await asSuperuser((client) => client.query('drop role operator_with_all'));
    }
  });

  it('nobody writes into the chain of another user, or leaves a trace there by trying', async () => {
    const [mallory, victim] = [newUser(), newUser()];
    await addAuditRows(databases, victim, 1);
    const trying = asVault((client) => asUser(client, mallory, () => insertAuditRow(client, victim)));
    await expect(trying).rejects.toMatchObject(refused);
    const without = asVault((client) => insertAuditRow(client, victim));
    await expect(without).rejects.toMatchObject(refused);
    await addAuditRows(databases, victim, 1);
    expect(await readSeqs(databases, victim)).toEqual([1, 2]);
  });

  it('the trigger leaves the user of the transaction as it was', async () => {
    const [one, two] = [newUser(), newUser()];
    await asSuperuser(async (client) => {
      await client.query('begin');
      await client.query(`select set_config('app.current_user_id', $1, true)`, [one]);
      await insertAuditRow(client, two);
      const { rows } = await client.query(`select current_setting('app.current_user_id') as set`);
      expect(rows).toEqual([{ set: one }]);
      await client.query('commit');
    });
    expect(await readSeqs(databases, two)).toEqual([1]);
  });
});

describe('yarn audit:verify', () => {
  const env = (): Record<string, string> => ({ MAINTENANCE_DATABASE_URL: databases.urls.maintenance.sync });
  const verify = async (userId: string, ...args: string[]) => {
    const { code, lines, stderr } = await runAuditScript('verify', env(), ['--user', userId, ...args]);
    expect(stderr).toBe('');
    const problems = lines.filter((line) => line['event'] === 'audit-problem');
    expect(problems.every((line) => line['userId'] === userId)).toBe(true);
    return {
      code,
      problems: problems.map(
        (line) => `${String(line['problem'])} ${String(line['fromSeq'])}-${String(line['toSeq'])}`,
      ),
    };
  };
  const userWithRows = async (count: number): Promise<string> => {
    const userId = newUser();
    await addAuditRows(databases, userId, count);
    return userId;
  };

  it('says that all is well, for one user and for all', async () => {
    const userId = await userWithRows(3);
    expect(await verify(userId)).toEqual({ code: 0, problems: [] });
    const clean = await createTestDatabases();
    for (const name of ['b', 'a', 'ä', 'Z']) await addAuditRows(clean, name, 2);
    const { code, lines } = await runAuditScript('verify', {
      MAINTENANCE_DATABASE_URL: clean.urls.maintenance.sync,
    });
    expect({ code, lines }).toEqual({
      code: 0,
      lines: [{ event: 'audit-verified', ok: true, users: 4, rows: 8, problems: 0 }],
    });
    await clean.drop();
  });

  it.each([
    ['changed field', `update mana_ai.decrypt_audit set record_id = 'other' where user_id = $1 and seq = 3`, 'changed 3-3'],
    ['changed time', `update mana_ai.decrypt_audit set ts = ts + interval '1 microsecond' where user_id = $1 and seq = 3`, 'changed 3-3'],
    ['null made empty', `update mana_ai.decrypt_audit set reason = '' where user_id = $1 and seq = 3`, 'changed 3-3'],
    ['changed id', `update mana_ai.decrypt_audit set id = id + 1000000 where user_id = $1 and seq = 3`, 'changed 3-3'],
    ['changed hash', `update mana_ai.decrypt_audit set hash = sha256('x') where user_id = $1 and seq = 3`, 'changed 3-3'],
    ['removed row', `delete from mana_ai.decrypt_audit where user_id = $1 and seq = 3`, 'removed 3-3'],
    ['removed beginning', `delete from mana_ai.decrypt_audit where user_id = $1 and seq < 3`, 'removed 1-2'],
  ])('names a %s', async (_what, sql, problem) => {
    const userId = await userWithRows(6);
    await tamper(databases, sql, [userId]);
    expect(await verify(userId)).toEqual({ code: 1, problems: [problem] });
  }); // prettier-ignore

  it('names two rows that changed places', async () => {
    const userId = await userWithRows(6);
    await tamper(
      databases,
      `with moved as (select seq, record_id, hash from mana_ai.decrypt_audit where user_id = $1 and seq in (2, 5))
       update mana_ai.decrypt_audit as rows set record_id = moved.record_id, hash = moved.hash
       from moved where rows.user_id = $1 and rows.seq in (2, 5) and moved.seq = 7 - rows.seq`,
      [userId],
    );
    const { code, problems } = await verify(userId);
    expect(code).toBe(1);
    expect(problems).toContain('changed 2-2');
    expect(problems).toContain('changed 5-5');
  });

  it('goes on with the next user after one whose chain is broken', async () => {
    const own = await createTestDatabases();
    for (const userId of ['a', 'b', 'c']) await addAuditRows(own, userId, 3);
    for (const userId of ['a', 'c']) {
      await tamper(own, `delete from mana_ai.decrypt_audit where user_id = $1 and seq = 2`, [userId]);
    }
    const { code, lines } = await runAuditScript('verify', {
      MAINTENANCE_DATABASE_URL: own.urls.maintenance.sync,
    });
    expect(code).toBe(1);
    expect(lines.map((line) => line['userId'])).toEqual(['a', 'c', undefined]);
    expect(lines.at(-1)).toMatchObject({ users: 3, problems: 2 });
    await own.drop();
  });

  it('with heads that were kept elsewhere finds a chain that was cut off, rewritten or is gone', async () => {
    const own = await createTestDatabases();
    const ownEnv = { MAINTENANCE_DATABASE_URL: own.urls.maintenance.sync };
    for (const userId of ['cut', 'gone', 'rewritten', 'untouched']) await addAuditRows(own, userId, 5);
    const heads = await runAuditScript('heads', ownEnv);
    expect(heads.code).toBe(0);
    expect(heads.lines.map((line) => [line['userId'], line['seq']])).toEqual([
      ['cut', '5'], ['gone', '5'], ['rewritten', '5'], ['untouched', '5'],
    ]); // prettier-ignore
    const directory = mkdtempSync(join(tmpdir(), 'mana-heads-'));
    const file = join(directory, 'heads.jsonl');
    writeFileSync(file, heads.lines.map((line) => JSON.stringify(line)).join('\n'));

    await tamper(own, `delete from mana_ai.decrypt_audit where user_id = 'cut' and seq > 3`);
    await tamper(own, `delete from mana_ai.decrypt_audit where user_id in ('gone', 'rewritten')`);
    await addAuditRows(own, 'rewritten', 6);
    await addAuditRows(own, 'untouched', 2);
    expect((await runAuditScript('verify', ownEnv)).code).toBe(0);
    const { code, lines } = await runAuditScript('verify', ownEnv, ['--heads', file]);
    expect(code).toBe(1);
    expect(
      lines
        .filter((line) => line['event'] === 'audit-problem')
        .map((line) => [line['userId'], line['problem'], line['fromSeq']]),
    ).toEqual([
      ['cut', 'head', '5'],
      ['rewritten', 'head', '5'],
      ['gone', 'head', '5'],
    ]);
    rmSync(directory, { recursive: true });
    await own.drop();
  });

  it('needs the maintenance role: to another one a chain that it cannot see would look fine', async () => {
    for (const { sync } of [databases.urls.api, databases.urls.runner]) {
      const { code, lines, stderr } = await runAuditScript('verify', { MAINTENANCE_DATABASE_URL: sync });
      expect({ code, lines }).toEqual({ code: 1, lines: [] });
      expect(stderr).toContain('not a member of mana_missions_maintenance');
      expect(stderr).not.toContain(new URL(sync).password);
    }
    expect((await runAuditScript('verify', {})).stderr).toContain('MAINTENANCE_DATABASE_URL: is not set');
  });
});

describe('the projection', () => {
  it('logs the head of every chain once a day, in lines that audit:verify takes', async () => {
    const own = await createTestDatabases();
    const harness = await createActivityHarness('audit-heads-test', own);
    const { projection } = harness;
    const { signal } = new AbortController();
    const users = upTo(7).map((n) => `user ${n}`);
    for (const userId of users) await addAuditRows(own, userId, 3);
    expect(await Promise.all([1, 2].map(() => logAuditHeads(projection, signal)))).toContain(7);
    expect(await logAuditHeads(projection, signal)).toBe(0);
    const { lines } = await runAuditScript('heads', { MAINTENANCE_DATABASE_URL: own.urls.maintenance.sync });
    expect(projection.infos).toEqual(
      lines.map(({ event, userId, seq, hash }) => ({ event, userId, seq, hash })),
    );
    expect(projection.infos.map((line) => [line['userId'], line['seq']])).toEqual(
      users.map((userId) => [userId, '3']),
    );

    await withClient(own.superuser.syncUrl, (client) =>
      client.query(
        `update mana_ai.projection_cursor set audit_heads_logged_at = audit_heads_logged_at - interval '1 day'`,
      ),
    );
    expect(await logAuditHeads(projection, signal)).toBe(7);
    await harness.close();
  });
});

describe('the migration', () => {
  it('chains rows that stand there already, in the order of their ids', async () => {
    const platform = inject('platform');
    const name = `test_chained_${randomUUID().replaceAll('-', '')}`;
    await withClient(inject('postgresUrl'), (client) =>
      client.query(`create database ${name} owner mana_sync_owner`),
    );
    const url = inDatabase(platform.syncOwnerUrl, name);
    const root = resolve(import.meta.dirname, '..', '..');
    const before = mkdtempSync(join(tmpdir(), 'mana-migrations-'));
    cpSync(join(root, 'migrations'), before, { recursive: true });
    for (const file of readdirSync(join(before, 'mana_ai'))) {
      if (Number(file.slice(0, 6)) >= 6) rmSync(join(before, 'mana_ai', file));
    }
    const superuserUrl = inDatabase(platform.superuser.syncUrl, name);
    try {
      await withClient(url, async (client) => {
        await client.query(readFileSync(join(root, 'dev', 'platform-schema.sync.sql'), 'utf8'));
      });
      await migrateSyncDatabase(url, { directory: before });
      await withClient(superuserUrl, (client) =>
        client.query(
          `insert into mana_ai.decrypt_audit (user_id, mission_id, iteration_id, table_name, record_id, status, reason)
           select 'user-' || n % 3, 'm', case when n % 2 = 0 then 'it' end, 't', 'r' || n, 'ok', null
           from generate_series(1, 30) as n`,
        ),
      );
      await migrateSyncDatabase(url);
      const own = openDatabase({
        url: inDatabase(platform.urls.maintenance.sync, name),
        applicationName: 'audit-test',
        maxConnections: 1,
      });
      for (const userId of ['user-0', 'user-1', 'user-2']) {
        const checked = await own.asSystem((tx) => checkChain(tx, userId, { publicKeys: [] }));
        expect(checked.findings).toEqual([]);
        expect(checked.rows).toBe(10);
      }
      await own.close();
      const { rows } = await withClient(superuserUrl, (client) =>
        client.query(
          `select bool_and(in_order) as "inOrder" from (
             select seq = row_number() over (partition by user_id order by id) as in_order from mana_ai.decrypt_audit
           ) as each`,
        ),
      );
      expect(rows).toEqual([{ inOrder: true }]);
    } finally {
      rmSync(before, { recursive: true });
      await withClient(inject('postgresUrl'), (client) => client.query(`drop database ${name} with (force)`));
    }
  });
});

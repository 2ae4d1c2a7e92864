import fc from 'fast-check';
import type { Client } from 'pg';
import { describe, expect, it } from 'vitest';
import { withClient } from '#dev/platform-schema.ts';
import { addAuditRows, asUser, insertAuditRow, readSeqs } from '#test/support/audit-rows.ts';
import {
  asSuperuser,
  asVault,
  check,
  databases,
  newUser,
  setUpAuditChain,
  upTo,
} from '#test/support/audit-chain.ts';
import { waitUntil } from '#test/support/wait-until.ts';

setUpAuditChain();

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

  it('when another transaction is just ending: a chain that it has not given back yet is waited for', async () => {
    const [one, two] = [newUser(), newUser()];
    await asSuperuser((ending) =>
      asSuperuser(async (writer) => {
        // PostgreSQL gives back the locks of a transaction one by one: the order of all chains is free, this one not yet.
        await ending.query('begin');
        await ending.query('select pg_advisory_xact_lock(1835101793, hashtext($1))', [two]);
        const writing = insertBoth(writer, one, two);
        const isWaiting = async () => {
          const { rows } = await ending.query<{ waits: boolean }>(
            `select exists (select from pg_locks where locktype = 'advisory' and not granted
               and database = (select oid from pg_database where datname = current_database())) as waits`,
          );
          return rows[0]?.waits === true;
        };
        await Promise.race([writing, waitUntil('it waits for the chain', isWaiting)]);
        await ending.query('commit');
        await writing;
      }),
    );
    for (const userId of [one, two]) expect(await readSeqs(databases, userId)).toEqual(upTo(50));
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

import { generateKeyPairSync, randomUUID, type KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { signCheckpoint } from '#crypto/audit-checkpoint.ts';
import { withClient } from '#dev/platform-schema.ts';
import { addAuditRows, asUser, readSeqs, tamper } from '#test/support/audit-rows.ts';
import { runAuditScript, type CommandResult } from '#test/support/operator-commands.ts';
import { createTestDatabases, type TestDatabases } from '#test/support/databases.ts';

const keys = generateKeyPairSync('ed25519');
const privatePem = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString();
const publicPem = (key: KeyObject): string => key.export({ type: 'spki', format: 'pem' }).toString();

let databases: TestDatabases;
beforeAll(async () => {
  databases = await createTestDatabases();
});
afterAll(() => databases.drop());

const env = (): Record<string, string> => ({
  MAINTENANCE_DATABASE_URL: databases.urls.maintenance.sync,
  AUDIT_CHECKPOINT_PUBLIC_KEY_PEM: publicPem(keys.publicKey),
});
const pruneEnv = (): Record<string, string> => ({
  MAINTENANCE_DATABASE_URL: databases.urls.maintenance.sync,
  // As a line of an env file has it.
  AUDIT_CHECKPOINT_PRIVATE_KEY_PEM: privatePem(keys.privateKey).replaceAll('\n', '\\n'),
});
const DAY_MS = 86_400_000;
const daysAgo = (days: number): string => new Date(Date.now() - days * DAY_MS).toISOString();
const prune = (userId: string, days = 30): Promise<CommandResult> =>
  runAuditScript('prune', pruneEnv(), ['--before', daysAgo(days), '--user', userId]);
const verify = (userId: string, changes: Record<string, string> = {}): Promise<CommandResult> =>
  runAuditScript('verify', { ...env(), ...changes }, ['--user', userId]);
const problemsIn = ({ lines }: CommandResult): string[] =>
  lines
    .filter((line) => line['event'] === 'audit-problem')
    .map((line) => `${String(line['problem'])} ${String(line['fromSeq'])}-${String(line['toSeq'])}`);
const newUser = (): string => `user-${randomUUID()}`;
const asMaintenance = <T>(work: (client: Client) => Promise<T>): Promise<T> =>
  withClient(databases.urls.maintenance.sync, work);
const asSuperuser = <T>(work: (client: Client) => Promise<T>): Promise<T> =>
  withClient(databases.superuser.syncUrl, work);

/** Seals a record for a run under way, which refers to an audit row. */
const sealFor = (userId: string, seq: number): Promise<unknown> =>
  asSuperuser((client) =>
    client.query(
      `insert into mana_ai.sealed_inputs (user_id, run_id, table_name, record_id, mission_id, sealed, audit_id)
       select user_id, 'run', 'notes', record_id, mission_id, 'x', id from mana_ai.decrypt_audit
       where user_id = $1 and seq = $2`,
      [userId, seq],
    ),
  );

describe('yarn audit:prune', () => {
  it('deletes what is older and leaves a signed checkpoint, from which the rest verifies', async () => {
    const userId = newUser();
    await addAuditRows(databases, userId, 5, 60);
    await addAuditRows(databases, userId, 3, 10);
    const pruned = await prune(userId);
    expect(pruned).toMatchObject({
      code: 0,
      stderr: '',
      lines: [{ event: 'audit-pruned', userId, rows: 5 }],
    });
    expect(await readSeqs(databases, userId)).toEqual([6, 7, 8]);
    expect(await verify(userId)).toMatchObject({ code: 0, lines: [{ ok: true, rows: 3 }] });

    await addAuditRows(databases, userId, 1);
    expect(await readSeqs(databases, userId)).toEqual([6, 7, 8, 9]);
    expect((await verify(userId)).code).toBe(0);
    expect(await prune(userId)).toMatchObject({ code: 0, lines: [] });
  });

  it('continues the chain of a user of whom nothing is left', async () => {
    const userId = newUser();
    await addAuditRows(databases, userId, 4, 60);
    await prune(userId);
    expect(await readSeqs(databases, userId)).toEqual([]);
    expect((await verify(userId)).code).toBe(0);
    const heads = await runAuditScript('heads', env());
    expect(heads.lines.find((line) => line['userId'] === userId)).toMatchObject({ seq: '4' });
    await addAuditRows(databases, userId, 2, 50);
    expect(await readSeqs(databases, userId)).toEqual([5, 6]);
    expect(await prune(userId)).toMatchObject({ code: 0, lines: [{ rows: 2 }] });
    expect((await verify(userId)).code).toBe(0);
  });

  it('stops at the first row that is younger or that a run under way refers to', async () => {
    const [mixed, running] = [newUser(), newUser()];
    await addAuditRows(databases, mixed, 2, 60);
    await addAuditRows(databases, mixed, 1, 1);
    await addAuditRows(databases, mixed, 2, 60);
    await prune(mixed);
    expect(await readSeqs(databases, mixed)).toEqual([3, 4, 5]);

    await addAuditRows(databases, running, 4, 60);
    await sealFor(running, 3);
    await prune(running);
    expect(await readSeqs(databases, running)).toEqual([3, 4]);
    const { rows } = await asSuperuser((client) =>
      client.query('select seq::int as seq from mana_ai.sealed_inputs sealed join mana_ai.decrypt_audit on id = audit_id where sealed.user_id = $1', [running]),
    ); // prettier-ignore
    expect(rows).toEqual([{ seq: 3 }]);
    expect((await verify(running)).code).toBe(0);
  });

  it('leaves a chain alone that does not verify, and prunes the others', async () => {
    const own = await createTestDatabases();
    const ownEnv = { ...pruneEnv(), MAINTENANCE_DATABASE_URL: own.urls.maintenance.sync };
    for (const userId of ['a', 'b', 'c']) await addAuditRows(own, userId, 3, 60);
    await tamper(own, `update mana_ai.decrypt_audit set record_id = 'x' where user_id = 'b' and seq = 2`);
    const { code, lines } = await runAuditScript('prune', ownEnv, ['--before', daysAgo(30)]);
    expect(code).toBe(1);
    expect(lines.map((line) => [line['event'], line['userId']])).toEqual([
      ['audit-pruned', 'a'],
      ['audit-not-pruned', 'b'],
      ['audit-pruned', 'c'],
      ['audit-pruning-done', undefined],
    ]);
    expect(await readSeqs(own, 'b')).toEqual([1, 2, 3]);
    await own.drop();
  });

  it('deletes mint-log rows of v2 grants that expired long ago, and no others', async () => {
    const own = await createTestDatabases();
    await withClient(own.superuser.syncUrl, (client) =>
      client.query(
        `insert into mana_ai.mission_grants
           (user_id, wrapped_key_sha256, mission_id, version, tables, record_ids, origin, issued_at, expires_at)
         select 'alice', sha256(convert_to(version || days, 'UTF8')), version || '-' || days, version, '{}', '{}', 'minted',
           now() - interval '200 days', now() - days * interval '1 day'
         from unnest(array['v1', 'v2']) as version, unnest(array[-5, 5, 29, 31, 100]) as days`,
      ),
    );
    const left = async () => {
      const { rows } = await withClient(own.superuser.syncUrl, (client) =>
        client.query<{ id: string }>('select mission_id as id from mana_ai.mission_grants order by 1'),
      );
      return rows.map((row) => row.id);
    };
    const ownEnv = { ...pruneEnv(), MAINTENANCE_DATABASE_URL: own.urls.maintenance.sync };
    const { lines } = await runAuditScript('prune', ownEnv, ['--before', daysAgo(50)]);
    expect(lines).toEqual([{ event: 'audit-pruning-done', ok: true, expiredGrants: 1 }]);
    await runAuditScript('prune', ownEnv, ['--before', daysAgo(8)]);
    const v1 = ['v1--5', 'v1-100', 'v1-29', 'v1-31', 'v1-5'];
    expect(await left()).toEqual([...v1, 'v2--5', 'v2-29', 'v2-5']);
    await own.drop();
  });

  it.each([
    [['--before', daysAgo(6)], 'last 7 days cannot be pruned'],
    [['--before', 'yesterday'], '--before: give an instant'],
    [[], '--before: give an instant'],
    [['--before', daysAgo(60), '--user', ''], '--user: give a user id'],
  ])('with %j changes nothing and says why', async (args, message) => {
    const userId = newUser();
    await addAuditRows(databases, userId, 1, 60);
    const { code, stderr } = await runAuditScript('prune', pruneEnv(), args);
    expect(code).toBe(1);
    expect(stderr).toContain(message);
    expect(await readSeqs(databases, userId)).toEqual([1]);
  });

  it('does not start without its key, or with one of another kind', async () => {
    const rsa = privatePem(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey);
    for (const pem of ['', 'change-me', rsa, publicPem(keys.publicKey)]) {
      const changed = { ...pruneEnv(), AUDIT_CHECKPOINT_PRIVATE_KEY_PEM: pem };
      const { code, stderr } = await runAuditScript('prune', changed, ['--before', daysAgo(60)]);
      expect(code).toBe(1);
      expect(stderr).toContain('AUDIT_CHECKPOINT_PRIVATE_KEY_PEM: ');
    }
  });

  it('takes its key from a file', async () => {
    const userId = newUser();
    await addAuditRows(databases, userId, 1, 60);
    const directory = mkdtempSync(join(tmpdir(), 'mana-audit-key-'));
    writeFileSync(join(directory, 'key.pem'), privatePem(keys.privateKey));
    const { MAINTENANCE_DATABASE_URL = '' } = env();
    const { code } = await runAuditScript(
      'prune',
      { MAINTENANCE_DATABASE_URL, AUDIT_CHECKPOINT_PRIVATE_KEY_PEM_FILE: join(directory, 'key.pem') },
      ['--before', daysAgo(30), '--user', userId],
    );
    rmSync(directory, { recursive: true });
    expect(code).toBe(0);
    expect(await readSeqs(databases, userId)).toEqual([]);
  });
});

describe('a checkpoint', () => {
  const prunedUser = async (): Promise<string> => {
    const userId = newUser();
    await addAuditRows(databases, userId, 3, 60);
    await addAuditRows(databases, userId, 3, 1);
    await prune(userId);
    return userId;
  };

  it.each([
    ['of another hash', `update mana_ai.audit_checkpoints set hash = sha256('x') where user_id = $1`, ['checkpoint 3-3', 'changed 4-4']],
    ['of another row', `update mana_ai.audit_checkpoints set seq = 2 where user_id = $1`, ['checkpoint 2-2', 'removed 3-3']],
    ['with another signature', `update mana_ai.audit_checkpoints set signature = sha512('x') where user_id = $1`, ['checkpoint 3-3']],
    ['that was removed', `delete from mana_ai.audit_checkpoints where user_id = $1`, ['removed 1-3']],
    [
      'made up to hide that rows were removed',
      `with cut as (delete from mana_ai.decrypt_audit where user_id = $1 and seq in (4, 5) returning *)
       insert into mana_ai.audit_checkpoints (user_id, seq, hash, key_id, signature)
       select cut.user_id, cut.seq, cut.hash, known.key_id, known.signature
       from cut join mana_ai.audit_checkpoints known using (user_id) where cut.seq = 5`,
      ['checkpoint 5-5'],
    ],
  ])('%s is found out', async (_what, sql, problems) => {
    const userId = await prunedUser();
    await tamper(databases, sql, [userId]);
    const result = await verify(userId);
    expect({ code: result.code, problems: problemsIn(result) }).toEqual({ code: 1, problems });
  }); // prettier-ignore

  it('counts only under a key that was configured, and old keys stay valid beside new ones', async () => {
    const userId = await prunedUser();
    const next = generateKeyPairSync('ed25519');
    const unknown = await verify(userId, { AUDIT_CHECKPOINT_PUBLIC_KEY_PEM: publicPem(next.publicKey) });
    expect({ code: unknown.code, problems: problemsIn(unknown) }).toEqual({
      code: 1,
      problems: ['checkpoint 3-3'],
    });
    const both = publicPem(next.publicKey) + publicPem(keys.publicKey);
    expect((await verify(userId, { AUDIT_CHECKPOINT_PUBLIC_KEY_PEM: both })).code).toBe(0);
    const withNext = {
      ...pruneEnv(),
      AUDIT_CHECKPOINT_PRIVATE_KEY_PEM: privatePem(next.privateKey),
      AUDIT_CHECKPOINT_PUBLIC_KEY_PEM: both,
    };
    await addAuditRows(databases, userId, 1, 60);
    expect((await runAuditScript('prune', withNext, ['--before', daysAgo(30), '--user', userId])).code).toBe(
      0,
    );
  });
});

describe('yarn audit:erase', () => {
  it('deletes the audit, the checkpoints and the sealed rows of one user, and nothing of others', async () => {
    const [erased, other] = [newUser(), newUser()];
    for (const userId of [erased, other]) {
      await addAuditRows(databases, userId, 3, 60);
      await addAuditRows(databases, userId, 3, 1);
      await prune(userId);
      await sealFor(userId, 5);
    }
    const result = await runAuditScript('erase', env(), ['--user', erased]);
    expect(result).toMatchObject({
      code: 0,
      lines: [{ event: 'audit-erased', userId: erased, rows: 3, lastSeq: '6' }],
    });
    const counts = (userId: string) =>
      asSuperuser(async (client) => {
        const { rows } = await client.query<Record<string, number>>(
          `select (select count(*)::int from mana_ai.decrypt_audit where user_id = $1) as audit,
             (select count(*)::int from mana_ai.audit_checkpoints where user_id = $1) as checkpoints,
             (select count(*)::int from mana_ai.sealed_inputs where user_id = $1) as sealed`,
          [userId],
        );
        return rows[0];
      });
    expect(await counts(erased)).toEqual({ audit: 0, checkpoints: 0, sealed: 0 });
    expect(await counts(other)).toEqual({ audit: 3, checkpoints: 1, sealed: 1 });
    expect((await verify(other)).code).toBe(0);
  });

  it('its line among the logged heads tells an erased chain from one that was cut off', async () => {
    const userId = newUser();
    await addAuditRows(databases, userId, 3);
    const { lines: heads } = await runAuditScript('heads', env());
    const { lines: erasure } = await runAuditScript('erase', env(), ['--user', userId]);
    await addAuditRows(databases, userId, 1);
    const directory = mkdtempSync(join(tmpdir(), 'mana-heads-'));
    const verifyWith = (lines: readonly unknown[]) => {
      const file = join(directory, 'heads.jsonl');
      writeFileSync(file, lines.map((line) => JSON.stringify(line)).join('\n'));
      return runAuditScript('verify', env(), ['--user', userId, '--heads', file]);
    };
    expect(problemsIn(await verifyWith(heads))).toEqual(['head 3-3']);
    expect((await verifyWith([...heads, ...erasure])).code).toBe(0);
    expect((await verifyWith([{ event: 'something' }])).stderr).toContain('--heads: line 1 is not one of');
    rmSync(directory, { recursive: true });
  });

  it('needs a user', async () => {
    expect((await runAuditScript('erase', env())).stderr).toContain('--user: give the id');
  });
});

describe('the functions behind the commands', () => {
  const HOSTILE = ['api', 'vault', 'runner', 'projection'] as const;
  const calls = [
    `select mana_ai.erase_decrypt_audit($1)`,
    `select * from mana_ai.audit_prunable($1, now() - interval '8 days')`,
    `select mana_ai.prune_decrypt_audit($1, now() - interval '8 days', 1, sha256('x'), 'k', sha512('x'))`,
    `select mana_ai.lock_audit_chain($1)`,
  ];

  it.each(HOSTILE)('are closed to %s', async (role) => {
    const userId = newUser();
    await addAuditRows(databases, userId, 1, 60);
    for (const sql of calls) {
      const calling = withClient(databases.urls[role].sync, (client) =>
        asUser(client, userId, () => client.query(sql, [userId])),
      );
      await expect(calling, sql).rejects.toMatchObject({ code: '42501' });
    }
    expect(await readSeqs(databases, userId)).toEqual([1]);
  });

  it('called by the owner they run into the trigger, which no setting opens', async () => {
    const userId = newUser();
    await addAuditRows(databases, userId, 1, 60);
    const erasing = withClient(databases.syncOwnerUrl, (client) =>
      asUser(client, userId, async () => {
        for (const [name, value] of [
          ['mana_ai.erasing', 'true'],
          ['app.role', 'mana_missions_maintenance'],
        ]) {
          await client.query('select set_config($1, $2, true)', [name, value]);
        }
        await client.query(calls[0] ?? '', [userId]);
      }),
    );
    await expect(erasing).rejects.toMatchObject({ code: '42501' });
    expect(await readSeqs(databases, userId)).toEqual([1]);
  });

  it('prune no further than is allowed, and only with the hash of the row that stands there', async () => {
    const userId = newUser();
    await addAuditRows(databases, userId, 2, 60);
    await addAuditRows(databases, userId, 1, 1);
    const hashOf = async (seq: number): Promise<Buffer> => {
      const { rows } = await asMaintenance((client) =>
        client.query<{ hash: Buffer }>('select hash from mana_ai.decrypt_audit where user_id = $1 and seq = $2', [userId, seq]),
      ); // prettier-ignore
      return rows[0]?.hash ?? Buffer.alloc(32);
    };
    const pruneThrough = async (seq: number, hash: Buffer) => {
      const signed = signCheckpoint(keys.privateKey, { userId, seq: BigInt(seq), hash });
      return asMaintenance((client) =>
        client.query(`select mana_ai.prune_decrypt_audit($1, now() - interval '30 days', $2, $3, $4, $5)`, [
          userId,
          seq,
          hash,
          signed.keyId,
          signed.signature,
        ]),
      );
    };
    await expect(pruneThrough(3, await hashOf(3))).rejects.toMatchObject({ code: '23514' });
    await expect(pruneThrough(2, await hashOf(1))).rejects.toMatchObject({ code: '23514' });
    expect(await readSeqs(databases, userId)).toEqual([1, 2, 3]);
    await pruneThrough(1, await hashOf(1));
    expect(await readSeqs(databases, userId)).toEqual([2, 3]);
  });

  it('leave the user of the transaction as it was', async () => {
    const userId = newUser();
    await addAuditRows(databases, userId, 1, 60);
    await asMaintenance(async (client) => {
      await client.query('begin');
      await client.query(`select * from mana_ai.audit_prunable($1, now() - interval '30 days')`, [userId]);
      await client.query('select mana_ai.erase_decrypt_audit($1)', [userId]);
      const { rows } = await client.query(`select current_setting('app.current_user_id', true) as set`);
      expect(rows).toEqual([{ set: '' }]);
      await client.query('rollback');
    });
  });
});

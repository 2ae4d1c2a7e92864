import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { logAuditHeads } from '#activities/projection/log-audit-heads.ts';
import { withClient } from '#dev/platform-schema.ts';
import { createActivityHarness } from '#test/support/activity-dependencies.ts';
import { addAuditRows, tamper } from '#test/support/audit-rows.ts';
import { runAuditScript } from '#test/support/operator-commands.ts';
import { createTestDatabases } from '#test/support/databases.ts';
import { databases, newUser, setUpAuditChain, upTo } from '#test/support/audit-chain.ts';

setUpAuditChain();

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

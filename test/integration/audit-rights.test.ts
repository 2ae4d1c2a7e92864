import { describe, expect, it } from 'vitest';
import { withClient } from '#dev/platform-schema.ts';
import { addAuditRows, asUser, insertAuditRow, readSeqs } from '#test/support/audit-rows.ts';
import { asSuperuser, asVault, databases, newUser, setUpAuditChain } from '#test/support/audit-chain.ts';

setUpAuditChain();

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

import { randomUUID } from 'node:crypto';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, inject, it } from 'vitest';
import { openDatabase } from '#db/client.ts';
import { inDatabase, withClient } from '#dev/platform-schema.ts';
import { checkChain } from '#commands/audit-chain-check.ts';
import { migrateSyncDatabase } from '#migrations/migrate.ts';
import { setUpAuditChain } from '#test/support/audit-chain.ts';

setUpAuditChain();

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

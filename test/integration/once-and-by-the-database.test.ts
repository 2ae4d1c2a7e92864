import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { withClient } from '#dev/platform-schema.ts';
import { asUser, insertAuditRow } from '#test/support/audit-rows.ts';
import { createTestDatabases, type TestDatabases } from '#test/support/databases.ts';

let databases: TestDatabases;
beforeAll(async () => {
  databases = await createTestDatabases();
});
afterAll(() => databases.drop());

const USER = 'ada';
const REFUSED = { code: '42501' };
const ROLES = ['api', 'vault', 'runner', 'projection', 'maintenance', 'owner', 'superuser'] as const;
type Who = (typeof ROLES)[number];
const urlOf = (who: Who): string => {
  if (who === 'owner') return databases.syncOwnerUrl;
  return who === 'superuser' ? databases.superuser.syncUrl : databases.urls[who].sync;
};
const as = <T>(who: Who, work: (client: Client) => Promise<T>): Promise<T> =>
  withClient(urlOf(who), (client) => asUser(client, USER, () => work(client)));
const all = async (text: string): Promise<Record<string, unknown>[]> =>
  withClient(
    databases.superuser.syncUrl,
    async (client) => (await client.query<Record<string, unknown>>(text)).rows,
  );

describe('a revocation of a grant', () => {
  beforeAll(() =>
    as('api', (client) =>
      client.query(
        `insert into mana_ai.mission_grants
           (user_id, wrapped_key_sha256, mission_id, version, tables, record_ids, origin, issued_at, expires_at, revoked_at)
         select $1, sha256(state::bytea), state, 'v1', '{notes}', '{notes:n}', 'minted', now() - interval '1 hour',
           now() + interval '1 day', case state when 'revoked' then now() - interval '1 minute' end
         from unnest(array['revoked', 'live']) as states (state)`,
        [USER],
      ),
    ),
  );
  const revokedAt = () => all(`select revoked_at from mana_ai.mission_grants where mission_id = 'revoked'`);

  it.each(ROLES)('is not taken back or moved by %s', async (who) => {
    const before = await revokedAt();
    for (const value of ['null', 'now()', `'infinity'`, `now() + interval '1 day'`, `'-infinity'`]) {
      const changing = as(who, (client) =>
        client.query(`update mana_ai.mission_grants set revoked_at = ${value} where mission_id = 'revoked'`),
      );
      await expect(changing, value).rejects.toMatchObject(REFUSED);
    }
    expect(await revokedAt()).toEqual(before);
  });

  it.each(['runner', 'api', 'vault', 'projection'] as const)(
    'is not passed by with a row in its place by %s',
    async (who) => {
      const replacing = as(who, async (client) => {
        await client.query(`delete from mana_ai.mission_grants where mission_id = 'revoked'`);
      });
      await expect(replacing).rejects.toMatchObject(REFUSED);
      const upserting = as(who, (client) =>
        client.query(
          `insert into mana_ai.mission_grants
             (user_id, wrapped_key_sha256, mission_id, version, tables, record_ids, origin, issued_at, expires_at)
           values ($1, sha256('revoked'), 'revoked', 'v1', '{}', '{}', 'foreign', now(), now() + interval '1 day')
           on conflict (user_id, wrapped_key_sha256) do update set revoked_at = null`,
          [USER],
        ),
      );
      await expect(upserting).rejects.toMatchObject(REFUSED);
    },
  );

  it.each(['api', 'vault', 'projection', 'owner'] as const)('is made by %s, once', async (who) => {
    const revoke = (client: Client) =>
      client.query(
        `update mana_ai.mission_grants set revoked_at = now() where mission_id = 'live' and user_id = '${USER}'`,
      );
    await withClient(urlOf(who), async (client) => {
      await client.query('begin');
      await client.query(`select set_config('app.current_user_id', $1, true)`, [USER]);
      expect((await revoke(client)).rowCount).toBe(1);
      await expect(
        client.query(`update mana_ai.mission_grants set revoked_at = null where mission_id = 'live'`),
      ).rejects.toMatchObject(REFUSED);
      await client.query('rollback');
    });
  });

  it('of all that a mission had moves forward only', async () => {
    await as('api', (client) =>
      client.query(`insert into mana_ai.mission_revocations (user_id, mission_id) values ($1, 'm')`, [USER]),
    );
    const set = async (who: Who, value: string): Promise<unknown> => {
      const { rows } = await as(who, (client) =>
        client.query<{ revoked_at: unknown }>(
          `update mana_ai.mission_revocations set revoked_at = ${value} returning revoked_at::text`,
        ),
      );
      return rows[0]?.revoked_at;
    };
    const later = await set('api', `'2999-01-01T00:00:00Z'`);
    expect(await set('api', 'now()')).toBe(later);
    expect(await set('owner', `'-infinity'`)).toBe(later);
  });
});

describe('time and number of an audit row', () => {
  it.each([
    ['ts', `'2020-01-01T00:00:00Z'`],
    ['id', '1'],
    ['seq', '1'],
    ['hash', `sha256('x')`],
  ])('%s is not given by the vault worker', async (column, value) => {
    const inserting = as('vault', (client) =>
      client.query(
        `insert into mana_ai.decrypt_audit (user_id, mission_id, table_name, record_id, status, ${column})
         values ($1, 'm', 'notes', 'n', 'ok', ${value})`,
        [USER],
      ),
    );
    await expect(inserting).rejects.toMatchObject(REFUSED);
  });

  it('are the database’s, also where a service names neither', async () => {
    await as('vault', (client) => insertAuditRow(client, USER));
    await as('superuser', (client) => insertAuditRow(client, USER, { missionId: 'of-another-service' }));
    expect(
      await all(
        `select mission_id, ts between clock_timestamp() - interval '1 minute' and clock_timestamp() as "now"
         from mana_ai.decrypt_audit order by id`,
      ),
    ).toEqual([
      { mission_id: 'm1', now: true },
      { mission_id: 'of-another-service', now: true },
    ]);
  });
});

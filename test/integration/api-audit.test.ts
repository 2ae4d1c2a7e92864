import type { FastifyInstance } from 'fastify';
import { describe, expect, it } from 'vitest';
import {
  AUDIT_URL,
  admin,
  bearer,
  createUser,
  expectRefusal,
  issuer,
  setUpGrantApi,
  startApp,
} from '#test/support/grant-api.ts';

setUpGrantApi();

describe('the decrypt audit', () => {
  interface AuditAnswer {
    readonly rows: Record<string, unknown>[];
  }
  const read = async (app: FastifyInstance, token: string, query = ''): Promise<AuditAnswer> => {
    const response = await app.inject({ url: `${AUDIT_URL}${query}`, headers: bearer(token) });
    expect(response.statusCode, response.body).toBe(200);
    return response.json<AuditAnswer>();
  };
  const addRows = (userId: string, missionId: string, count: number) =>
    admin.sync.system`
      insert into mana_ai.decrypt_audit (user_id, mission_id, iteration_id, table_name, record_id, status, reason)
      select ${userId}, ${missionId}, 'it-1', 'notes', 'n' || n, 'ok', null from generate_series(1, ${count}) as n`;

  it('gives a row exactly as the contract says', async () => {
    const app = await startApp();
    const userId = await createUser();
    // Plain column lists, as other services of the platform insert them.
    const [inserted] = await admin.sync.system<{ id: string; ts: Date }[]>`
      insert into mana_ai.decrypt_audit (user_id, mission_id, iteration_id, table_name, record_id, status, reason)
      values (${userId}, 'm1', null, 'notes', 'n1', 'scope-violation', 'not granted') returning id::text, ts`;
    const { rows } = await read(app, await issuer.issueToken({ sub: userId }));
    expect(rows).toEqual([
      {
        id: inserted?.id,
        missionId: 'm1',
        iterationId: null,
        tableName: 'notes',
        recordId: 'n1',
        status: 'scope-violation',
        reason: 'not granted',
        ts: inserted?.ts.toISOString(),
      },
    ]);
    expect(rows[0]?.['ts']).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect(typeof rows[0]?.['id']).toBe('string');
  });

  it('shows own rows only, newest first, of one mission if asked', async () => {
    const app = await startApp();
    const [mine, other] = [await createUser(), await createUser()];
    await addRows(mine, 'm1', 2);
    await addRows(other, 'm1', 2);
    await addRows(mine, 'm2', 3);
    const token = await issuer.issueToken({ sub: mine });
    const all = await read(app, token);
    expect(all.rows.map((row) => `${String(row['missionId'])}/${String(row['recordId'])}`)).toEqual([
      'm2/n3',
      'm2/n2',
      'm2/n1',
      'm1/n2',
      'm1/n1',
    ]);
    expect(all.rows[0]).toMatchObject({ reason: null });
    expect((await read(app, token, '?missionId=m1')).rows).toHaveLength(2);
    expect((await read(app, token, '?missionId=unknown')).rows).toEqual([]);
    expect((await read(app, token, '?missionId=&limit=2')).rows).toHaveLength(2);
  });

  it.each([
    ['', 200],
    ['?limit=1', 1],
    ['?limit=0', 1],
    ['?limit=-7', 1],
    ['?limit=nonsense', 200],
    ['?limit=', 200],
    ['?limit=1&limit=2', 200],
    ['?limit=5000', 1000],
  ])('%s gives %i of 1001 rows', async (query, count) => {
    const app = await startApp();
    const userId = await createUser();
    await addRows(userId, 'm1', 1001);
    expect((await read(app, await issuer.issueToken({ sub: userId }), query)).rows).toHaveLength(count);
  });

  it('needs a token, and a mission id that can exist', async () => {
    const app = await startApp();
    await expectRefusal(app.inject({ url: AUDIT_URL }), { status: 401, code: 'UNAUTHORIZED' });
    const headers = bearer(await issuer.issueToken({ sub: await createUser() }));
    for (const query of ['?missionId=%00', '?missionId=a&missionId=b', `?missionId=${'x'.repeat(600)}`]) {
      await expectRefusal(app.inject({ url: AUDIT_URL + query, headers }), {
        status: 400,
        code: 'BAD_REQUEST',
      });
    }
  });
});

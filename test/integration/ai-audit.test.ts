import type { FastifyInstance, LightMyRequestResponse } from 'fastify';
import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildApp } from '#api/app.ts';
import { openDatabase, type Database } from '#db/client.ts';
import { startJwksIssuer, type JwksIssuer } from '#dev/jwks-issuer.ts';
import { createLogger } from '#logging/logger.ts';
import { addAuditRows, readSeqs, tamper } from '#test/support/audit-rows.ts';
import { createTestDatabases, type TestDatabases } from '#test/support/databases.ts';

const AUDIT_URL = '/api/v1/me/ai-audit';

let databases: TestDatabases;
let issuer: JwksIssuer;
let app: FastifyInstance;
let pools: Database[];

beforeAll(async () => {
  databases = await createTestDatabases();
  issuer = await startJwksIssuer();
  const open = (url: string): Database =>
    openDatabase({ url, applicationName: 'ai-audit-test', maxConnections: 2 });
  const [syncDatabase, authDatabase] = [open(databases.urls.api.sync), open(databases.urls.api.auth)];
  pools = [syncDatabase, authDatabase];
  app = await buildApp({
    syncDatabase,
    authDatabase,
    identity: { jwksUrl: `${issuer.url}/api/v1/auth/jwks`, issuer: issuer.url, audience: 'mana' },
    keks: { default: randomBytes(32), byId: new Map() },
    grantPublicKey: generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey,
    grantMintVersion: 'v2',
    corsOrigins: ['https://app.test'],
    trustedProxies: [],
    logger: createLogger('api', 'silent'),
  });
});
afterAll(async () => {
  await app.close();
  await Promise.all(pools.map((pool) => pool.close()));
  await issuer.close();
  await databases.drop();
});

const newUser = (): string => `user-${randomUUID()}`;

async function get(userId: string, url = AUDIT_URL): Promise<LightMyRequestResponse> {
  const token = await issuer.issueToken({ sub: userId });
  return app.inject({ url, headers: { authorization: `Bearer ${token}`, origin: 'https://app.test' } });
}
const recordsOf = (response: LightMyRequestResponse): string[] => {
  expect(response.statusCode, response.body).toBe(200);
  return response.json<{ rows: { recordId: string }[] }>().rows.map((row) => row.recordId);
};
/** The target of the `Link` header, or null on the last page. */
const nextOf = (response: LightMyRequestResponse): string | null => {
  const link = response.headers['link'];
  if (link === undefined) return null;
  const target = /^<([^>]+)>; rel="next"$/.exec(String(link))?.[1];
  expect(target, String(link)).toBeDefined();
  return target ?? null;
};

describe('the pages of the decrypt audit', () => {
  it('follow one another by their Link headers, newest first, without a row twice or left out', async () => {
    const userId = newUser();
    await addAuditRows(databases, userId, 7);
    const pages: string[][] = [];
    let url: string | null = `${AUDIT_URL}?limit=3`;
    while (url !== null) {
      const response = await get(userId, url);
      pages.push(recordsOf(response));
      url = nextOf(response);
    }
    expect(pages).toEqual([['n7', 'n6', 'n5'], ['n4', 'n3', 'n2'], ['n1']]);
  });

  it('stay what they are while rows are added between two of them', async () => {
    const userId = newUser();
    await addAuditRows(databases, userId, 4);
    const first = await get(userId, `${AUDIT_URL}?limit=2`);
    await addAuditRows(databases, userId, 5);
    const second = await get(userId, nextOf(first) ?? '');
    expect([recordsOf(first), recordsOf(second)]).toEqual([
      ['n4', 'n3'],
      ['n2', 'n1'],
    ]);
    expect(nextOf(second)).toBeNull();
  });

  it('of one mission lead to pages of that mission', async () => {
    const userId = newUser();
    await addAuditRows(databases, userId, 3);
    const missionId = 'm1';
    const first = await get(userId, `${AUDIT_URL}?missionId=${missionId}&limit=2`);
    expect(nextOf(first)).toContain('missionId=m1&limit=2&cursor=');
    expect(recordsOf(await get(userId, nextOf(first) ?? ''))).toEqual(['n1']);
    expect(recordsOf(await get(userId, (nextOf(first) ?? '').replace('m1', 'm2')))).toEqual([]);
  });

  it('have no next one where the last row is on them, exactly', async () => {
    const userId = newUser();
    expect(nextOf(await get(userId))).toBeNull();
    await addAuditRows(databases, userId, 2);
    expect(nextOf(await get(userId, `${AUDIT_URL}?limit=2`))).toBeNull();
    expect(nextOf(await get(userId, `${AUDIT_URL}?limit=1`))).not.toBeNull();
  });

  it('show no row of another user, whose cursor it may be', async () => {
    const [mine, other] = [newUser(), newUser()];
    await addAuditRows(databases, other, 5);
    const cursor = nextOf(await get(other, `${AUDIT_URL}?limit=1`)) ?? '';
    expect(recordsOf(await get(mine, cursor))).toEqual([]);
  });

  it.each([
    ['', 'an empty text'],
    ['nonsense', 'a text'],
    [Buffer.from('seq:-1').toString('base64url'), 'a negative number'],
    [Buffer.from('seq:1').toString('base64'), 'another base64'],
    [Buffer.from('seq:01').toString('base64url').slice(0, -1), 'a cut cursor'],
    [Buffer.from('seq:9223372036854775808').toString('base64url'), 'more than a bigint'],
    [Buffer.from('seq:007').toString('base64url'), 'leading zeros'],
    ['x'.repeat(5000), 'a long text'],
    [`${Buffer.from('seq:3').toString('base64url')}&cursor=${Buffer.from('seq:3').toString('base64url')}`, 'two cursors'],
  ])('do not begin at %j (%s): 400', async (cursor) => {
    const response = await get(newUser(), `${AUDIT_URL}?cursor=${cursor}`);
    expect(response.statusCode).toBe(400);
    expect(response.json()).toMatchObject({ code: 'BAD_REQUEST' });
    expect(Object.keys(response.json<object>())).toEqual(['error', 'code']);
  }); // prettier-ignore

  it('hold no key besides those of the contract, and times of any year', async () => {
    const userId = newUser();
    await addAuditRows(databases, userId, 1);
    await tamper(
      databases,
      `update mana_ai.decrypt_audit set ts = '20000-01-01 00:00:00.123456+00' where user_id = $1`,
      [userId],
    );
    const body = (await get(userId)).json<{ rows: Record<string, unknown>[] }>();
    expect(Object.keys(body)).toEqual(['rows']);
    expect(Object.keys(body.rows[0] ?? {})).toEqual([
      'id', 'missionId', 'iterationId', 'tableName', 'recordId', 'status', 'reason', 'ts',
    ]); // prettier-ignore
    expect(body.rows[0]?.['ts']).toBe('20000-01-01T00:00:00.123Z');
  });
});

describe('the head of the chain', () => {
  it('comes with every page, as number and hash of the user’s last row', async () => {
    const userId = newUser();
    await addAuditRows(databases, userId, 3);
    await addAuditRows(databases, newUser(), 3);
    const response = await get(userId, `${AUDIT_URL}?limit=1`);
    const head = String(response.headers['x-audit-head']);
    expect(head).toMatch(/^3\.[0-9a-f]{64}$/);
    expect((await get(userId, nextOf(response) ?? '')).headers['x-audit-head']).toBe(head);
    await addAuditRows(databases, userId, 1);
    expect((await get(userId)).headers['x-audit-head']).toMatch(/^4\./);
    expect(await readSeqs(databases, userId)).toHaveLength(4);
  });

  it('of a user without rows is the beginning', async () => {
    expect((await get(newUser())).headers['x-audit-head']).toBe(`0.${'0'.repeat(64)}`);
  });

  it('can be read by the web app, as can the link', async () => {
    const exposed = String((await get(newUser())).headers['access-control-expose-headers']).split(', ');
    expect(exposed).toEqual(expect.arrayContaining(['link', 'x-audit-head']));
  });
});

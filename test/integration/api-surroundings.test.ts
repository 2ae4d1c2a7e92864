import type { LightMyRequestResponse } from 'fastify';
import { describe, expect, it } from 'vitest';
import { openDatabase, type Database } from '#db/client.ts';
import {
  AUDIT_URL,
  GRANT_URL,
  admin,
  api,
  bearer,
  countRows,
  createOwner,
  createUser,
  databases,
  expectRefusal,
  grantOf,
  issuer,
  logLines,
  mint,
  open,
  request,
  setUpGrantApi,
  startApp,
  vaultAudit,
} from '#test/support/grant-api.ts';

setUpGrantApi();

describe('around the routes', () => {
  it('ready is 200 while both databases are as they should be, 503 when one is not; health is 200 in both cases', async () => {
    const app = await startApp();
    const ready = await app.inject('/ready');
    expect({ status: ready.statusCode, body: ready.json<unknown>() }).toEqual({
      status: 200,
      body: { ok: true, status: 'ok', checks: { syncDatabase: 'ok', authDatabase: 'ok' } },
    });
    const nowhere = openDatabase({
      url: 'postgres://nobody:x@127.0.0.1:1/none',
      applicationName: 'api-test',
      maxConnections: 1,
    });
    const illApp = await startApp({ authDatabase: nowhere });
    const ill = await illApp.inject('/ready');
    expect({ status: ill.statusCode, body: ill.json<unknown>() }).toEqual({
      status: 503,
      body: {
        ok: false,
        status: 'unavailable',
        checks: { syncDatabase: 'ok', authDatabase: 'no answer' },
      },
    });
    for (const each of [app, illApp]) {
      const health = await each.inject('/health');
      expect(health.statusCode).toBe(200);
      expect(health.json()).toEqual({
        ...{ ok: true, status: 'ok', version: expect.any(String) as string },
        tick: { enabled: true },
      });
    }
    await nowhere.close();
  });

  /** The vault may have been opened, and that audited, before the other database failed. */
  const expectUnavailable = ({ statusCode, body }: LightMyRequestResponse): void =>
    expect({ statusCode, body: JSON.parse(body) as unknown }).toEqual({
      statusCode: 503,
      body: { error: 'the database does not answer; try again', code: 'DATABASE_UNAVAILABLE' },
    });

  it('a database that cannot be reached is 503', async () => {
    const nowhere = open('postgres://nobody:x@127.0.0.1:1/none');
    const { token } = await createOwner();
    for (const changes of [{ syncDatabase: nowhere }, { authDatabase: nowhere }]) {
      expectUnavailable(await mint(await startApp(changes), token));
    }
    await nowhere.close();
  });

  it('a statement that takes longer than it may is 503', async () => {
    const impatient = openDatabase({
      ...{ url: databases.urls.api.sync, applicationName: 'api-test', maxConnections: 1 },
      limits: { statementMs: 200 },
    });
    const app = await startApp({ syncDatabase: impatient });
    const { token } = await createOwner();
    await admin.sync.asSystem(async (tx) => {
      await tx`lock table mana_ai.mission_grants in access exclusive mode`;
      expectUnavailable(await mint(app, token));
    });
    grantOf(await mint(app, token));
    await impatient.close();
  });

  it.each(['/', '/nope', '/api/v1/me', '/api/v1/me/nope', '/health/x'])(
    '%s is 404 with the error shape',
    async (url) => {
      const app = await startApp();
      await expectRefusal(app.inject({ url }), { status: 404, code: 'NOT_FOUND' });
      await expectRefusal(app.inject({ method: 'DELETE', url }), { status: 404, code: 'NOT_FOUND' });
    },
  );

  it('a URL that cannot be decoded is 400 with the error shape', async () => {
    await expectRefusal((await startApp()).inject('/%E0%A4%A'), { status: 400, code: 'BAD_REQUEST' });
  });

  it('only listed origins may read answers in a browser', async () => {
    const app = await startApp();
    const preflight = (origin: string) =>
      app.inject({
        method: 'OPTIONS',
        url: GRANT_URL,
        headers: {
          origin,
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'authorization',
        },
      });
    const allowed = await preflight('https://app.test');
    expect(allowed.statusCode).toBe(204);
    expect(allowed.headers['access-control-allow-origin']).toBe('https://app.test');
    expect(allowed.headers['access-control-allow-credentials']).toBeUndefined();
    for (const origin of ['https://evil.test', 'https://app.test.evil.test', 'http://app.test', 'null']) {
      expect((await preflight(origin)).headers['access-control-allow-origin']).toBeUndefined();
    }
  });

  it('answers carry security headers, a request id, and are not stored', async () => {
    const app = await startApp();
    const { token } = await createOwner();
    const { headers } = await mint(app, token);
    expect(headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' });
    expect(headers['x-request-id']).toMatch(/^[\da-f-]{36}$/);
    expect(headers['x-powered-by']).toBeUndefined();
  });

  const rateLimits = { perAddress: 1000, perUser: 1000, mintsPerUser: 1000 };
  const expect429 = (response: LightMyRequestResponse): void => {
    expect(response.statusCode).toBe(429);
    expect(response.json()).toEqual({
      error: expect.stringContaining('too many requests') as string,
      code: 'RATE_LIMITED',
    });
    expect(Number(response.headers['retry-after'])).toBeGreaterThan(0);
  };

  it('mints are limited by user, and other users are not affected', async () => {
    const app = await startApp({ rateLimits: { ...rateLimits, mintsPerUser: 2 } });
    const [first, second] = [await createOwner(), await createOwner()];
    // What is refused as malformed does not count.
    for (let count = 0; count < 3; count++) expect((await mint(app, first.token, {})).statusCode).toBe(400);
    grantOf(await mint(app, first.token));
    grantOf(await mint(app, first.token));
    const before = await countRows();
    expect429(await mint(app, first.token));
    expect(await countRows()).toEqual(before);
    grantOf(await mint(app, second.token));
    expect((await app.inject({ url: AUDIT_URL, headers: bearer(first.token) })).statusCode).toBe(200);
  });

  it('all requests of a user are limited', async () => {
    const app = await startApp({ rateLimits: { ...rateLimits, perUser: 2 } });
    const headers = bearer(await issuer.issueToken({ sub: await createUser() }));
    for (let count = 0; count < 2; count++) {
      expect((await app.inject({ url: AUDIT_URL, headers })).statusCode).toBe(200);
    }
    expect429(await app.inject({ url: AUDIT_URL, headers }));
  });

  it('an address is limited before its tokens are checked; health is not', async () => {
    const app = await startApp({ rateLimits: { ...rateLimits, perAddress: 2 } });
    for (let count = 0; count < 2; count++) expect((await mint(app, 'bad')).statusCode).toBe(401);
    expect429(await mint(app, 'bad'));
    const elsewhere = {
      method: 'POST',
      url: GRANT_URL,
      headers: bearer('bad'),
      remoteAddress: '10.0.0.9',
    } as const;
    expect((await app.inject(elsewhere)).statusCode).toBe(401);
    for (let count = 0; count < 5; count++) expect((await app.inject('/health')).statusCode).toBe(200);
  });

  it('the address behind a trusted proxy counts, and nobody else may claim one', async () => {
    const app = await startApp({ trustedProxies: ['10.1.0.0/16'] });
    const ask = async (remoteAddress: string): Promise<string | undefined> => {
      const { userId, token } = await createOwner();
      const headers = { ...bearer(token), 'x-forwarded-for': '203.0.113.7' };
      await app.inject({ method: 'POST', url: GRANT_URL, headers, payload: request, remoteAddress });
      return (await vaultAudit(userId))[0]?.ip_address;
    };
    expect(await ask('10.1.2.3')).toBe('203.0.113.7');
    expect(await ask('198.51.100.1')).toBe('198.51.100.1');
  });

  it('the log holds no token, header, query, body or error text', async () => {
    const mark = 'CANARY7d1f';
    const app = await startApp();
    const { token } = await createOwner();
    const recordIds = [`notes:${mark}`];
    grantOf(await mint(app, token, { ...request, recordIds, note: mark }));
    await mint(app, token, {
      missionId: { [mark]: mark },
      tables: [mark],
      recordIds: [mark],
      timeZone: mark,
    });
    await mint(app, `${token}${mark}`);
    await app.inject({
      url: `${AUDIT_URL}?missionId=%00${mark}&x=${mark}`,
      headers: { ...bearer(token), [mark]: mark },
    });
    await app.inject({ url: `/${mark}?q=${mark}`, headers: { cookie: mark, 'user-agent': mark } });
    await app.inject({
      method: 'POST',
      url: GRANT_URL,
      headers: { ...bearer(token), 'content-type': 'application/json' },
      payload: `{${mark}`,
    });
    const failing: Database = {
      ...api.sync,
      asUser: () => Promise.reject(new Error(`${mark}\n    at ${mark}`)),
    };
    const broken = await mint(await startApp({ syncDatabase: failing }), token);
    expect(broken.json()).toEqual({ error: 'internal error', code: 'INTERNAL' });
    const log = logLines.join('');
    expect(logLines.length).toBeGreaterThanOrEqual(7);
    expect(log).toContain('request failed');
    expect(log).not.toContain(mark);
    expect(log).not.toContain(token.slice(-20));
  });
});

import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ApiTimeouts } from '#api/app.ts';
import { toMissionId, toUserId } from '#domain/base/ids.ts';
import { startLiveness } from '#health/liveness.ts';
import { createLogger } from '#logging/logger.ts';
import {
  bearer,
  GRANT_URL,
  mint,
  revoke,
  show,
  startGrantingApi,
  type GrantingApi,
} from '#test/support/granting-api.ts';
import { holdMission } from '#test/support/held-lock.ts';
import { waitUntil } from '#test/support/wait-until.ts';

let granting: GrantingApi;
beforeAll(async () => {
  granting = await startGrantingApi();
});
afterAll(() => granting.close());

const body = { tables: ['notes'], recordIds: ['notes:n1'] };

describe('the page of the description', () => {
  const page = async (openApiPage: boolean) => (await granting.startApp({ openApiPage })).inject('/openapi/');

  it('is there where an operator switches it on, with files of this process alone', async () => {
    const response = await page(true);
    expect(response.statusCode).toBe(200);
    expect(response.body).toContain('swagger-ui-bundle.js');
    expect(response.body).not.toMatch(/(?:src|href)="(?:https?:)?\/\//);
    expect(response.headers['content-security-policy']).toMatch(/^default-src 'self';/);
  });

  it('and nowhere else', async () => {
    expect((await page(false)).statusCode).toBe(404);
  });
});

describe('the figures of the API', () => {
  const keys = ['service-key-1', 'service-key-2'];
  const hashes = keys.map((key) => createHash('sha256').update(key).digest());
  const scrape = (app: FastifyInstance, headers: Record<string, string> = {}) =>
    app.inject({ url: '/metrics', headers });

  it('are for holders of a service key only, either one while keys are changed', async () => {
    const app = await granting.startApp({ serviceKeySha256: hashes });
    for (const key of keys) {
      const response = await scrape(app, { 'x-service-key': key });
      expect(response.statusCode).toBe(200);
      expect(response.headers['content-type']).toMatch(/^text\/plain; version=0\.0\.4/);
      expect(response.headers['cache-control']).toBe('no-store');
    }
    const token = (await granting.createOwner()).token;
    const wrong = ['', 'service-key-', 'service-key-11', hashes[0]?.toString('hex') ?? '', 'x'.repeat(8000)];
    const refused = [
      await scrape(app),
      await scrape(app, bearer(token)),
      ...(await Promise.all(wrong.map((key) => scrape(app, { 'x-service-key': key })))),
    ];
    for (const response of refused) {
      expect(response.statusCode).toBe(401);
      expect(response.json()).toEqual({
        error: expect.stringContaining('service key') as string,
        code: 'UNAUTHORIZED',
      });
    }
  });

  it('are for nobody where no service key is configured, not even for the empty one', async () => {
    const app = await granting.startApp();
    for (const headers of [{}, { 'x-service-key': '' }, { 'x-service-key': 'service-key-1' }]) {
      expect((await scrape(app, headers)).statusCode).toBe(401);
    }
  });

  it('count grants and requests by codes and route patterns, and hold no id', async () => {
    const app = await granting.startApp({ serviceKeySha256: hashes });
    const { userId, token } = await granting.createOwner();
    const missionId = randomUUID();
    const figures = async (): Promise<string> =>
      (await scrape(app, { 'x-service-key': 'service-key-1' })).body;
    const valueOf = (lines: string, series: string): number =>
      Number(
        lines
          .split('\n')
          .find((line) => line.startsWith(`${series} `))
          ?.split(' ')
          .at(-1) ?? 0,
      );
    const before = await figures();
    await mint(app, token, { missionId, ...body });
    await mint(app, token, { missionId, ...body });
    await revoke(app, token, missionId);
    await app.inject({ method: 'GET', url: `/${missionId}` });
    await app.inject({ method: 'POST', url: GRANT_URL, payload: body });
    const after = await figures();
    const grew = (series: string): number => valueOf(after, series) - valueOf(before, series);
    const requests = (method: string, route: string, status: number): number =>
      grew(
        `mana_http_request_duration_seconds_count{method="${method}",route="${route}",status="${status}"}`,
      );
    expect({
      minted: grew('mana_grants_minted_total{version="v2"}'),
      revoked: grew('mana_grants_revoked_total'),
      mints: requests('POST', GRANT_URL, 200),
      refused: requests('POST', GRANT_URL, 401),
      revocations: requests('DELETE', `${GRANT_URL}/:missionId`, 204),
      unknown: requests('none', 'none', 404),
    }).toEqual({ minted: 2, revoked: 2, mints: 2, refused: 1, revocations: 1, unknown: 1 });
    for (const reason of ['not-configured', 'expired', 'malformed', 'wrap-rejected']) {
      expect(after).toContain(`mana_grant_unwrap_failures_total{reason="${reason}"}`);
    }
    for (const id of [userId, missionId, 'n1']) expect(after).not.toContain(id);
  });

  it('of a worker are served beside its health', async () => {
    const server = await startLiveness({
      ...{ host: '127.0.0.1', port: 0, processName: 'test', logLevel: 'silent' },
      logger: createLogger('test', 'silent'),
      readiness: () => Promise.resolve({ ok: true, status: 'ok', checks: {} }),
    });
    const response = await fetch(`http://127.0.0.1:${server.port}/metrics`);
    expect(response.status).toBe(200);
    expect(await response.text()).toContain('mana_grant_unwrap_failures_total{reason="expired"}');
    await server.close();
  });
});

describe('what browsers are told', () => {
  it('an allowed origin may revoke, no other may', async () => {
    const app = await granting.startApp();
    const preflight = (origin: string) =>
      app.inject({
        method: 'OPTIONS',
        url: `${GRANT_URL}/m1`,
        headers: { origin, 'access-control-request-method': 'DELETE' },
      });
    const { headers } = await preflight('https://app.test');
    expect(headers['access-control-allow-origin']).toBe('https://app.test');
    expect(String(headers['access-control-allow-methods']).split(', ')).toEqual([
      'GET',
      'POST',
      'PUT',
      'DELETE',
    ]);
    expect(headers['access-control-allow-headers']).toBe('authorization, content-type');
    for (const origin of ['https://app.test:8443', 'https://APP.test', 'null']) {
      expect((await preflight(origin)).headers['access-control-allow-origin']).toBeUndefined();
    }
  });

  it('every answer carries the security headers, errors too', async () => {
    const app = await granting.startApp();
    for (const url of ['/health', '/ready', '/nope', `${GRANT_URL}/m1`, '/metrics', '/openapi.json']) {
      const { headers } = await app.inject(url);
      expect(headers, url).toMatchObject({
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'SAMEORIGIN',
        'referrer-policy': 'no-referrer',
        'strict-transport-security': expect.stringContaining('max-age=') as string,
        'content-security-policy': expect.stringContaining("default-src 'self'") as string,
      });
    }
  });
});

describe('on the wire', () => {
  const timeouts: ApiTimeouts = { headersMs: 300, requestMs: 600, handlerMs: 10_000, checkEveryMs: 50 };
  const listen = async (): Promise<{ port: number }> => {
    const app = await granting.startApp({ timeouts });
    await app.listen({ host: '127.0.0.1', port: 0 });
    return { port: (app.server.address() as AddressInfo).port };
  };
  /** Everything that came until the connection closed, however it did. */
  const readAll = async (socket: Socket): Promise<string> => {
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('error', () => undefined);
    await once(socket, 'close');
    return Buffer.concat(chunks).toString();
  };
  /** Sends bytes and gives back everything that came until the server closed the connection. */
  const exchange = async (port: number, bytes: string | Buffer): Promise<string> => {
    const socket = connect(port, '127.0.0.1');
    socket.write(bytes);
    return readAll(socket);
  };
  const trickle = async (port: number, token: string): Promise<string> => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(
      `POST ${GRANT_URL} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\n` +
        'content-type: application/json\r\ncontent-length: 100000\r\n\r\n{',
    );
    const trickling = setInterval(() => socket.write(' '), 50);
    const answer = await readAll(socket);
    clearInterval(trickling);
    return answer;
  };
  const parse = (answer: string): { status: number; body: unknown } => {
    const [head = '', content = ''] = answer.split('\r\n\r\n');
    return { status: Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1]), body: JSON.parse(content) as unknown };
  };
  const badRequest = (status: number) => ({
    status,
    body: { error: expect.stringMatching(/./) as string, code: 'BAD_REQUEST' },
  });

  it.each([
    ['no HTTP at all', 'SECRET nonsense\r\n\r\n', 400],
    ['random bytes', randomBytes(2000), 400],
    ['a TLS handshake', Buffer.from('16030100c8010000c40303', 'hex'), 400],
    ['an unknown method', 'BREW /health HTTP/1.1\r\nhost: x\r\n\r\n', 400],
    ['a header line without a colon', 'GET /health HTTP/1.1\r\nhost: x\r\nSECRET\r\n\r\n', 400],
    [
      'a body with two lengths',
      'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab',
      400,
    ],
    [
      'a length and chunks (request smuggling)',
      'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
    ],
    ['a header of 20 kB', `GET /health HTTP/1.1\r\nhost: x\r\na: ${'b'.repeat(20_000)}\r\n\r\n`, 431],
  ])('%s is refused with the error shape, and nothing of it is repeated', async (_what, bytes, status) => {
    const { port } = await listen();
    granting.logLines.length = 0;
    const answer = await exchange(port, bytes);
    expect(parse(answer)).toEqual(badRequest(status));
    expect(answer).not.toContain('SECRET');
    expect(granting.logLines.join('')).not.toContain('SECRET');
  });

  it('a client that says nothing is let go', async () => {
    const { port } = await listen();
    expect(parse(await readAll(connect(port, '127.0.0.1')))).toEqual(badRequest(408));
  });

  it('a header that trickles in is cut off', async () => {
    const { port } = await listen();
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write('GET /health HTTP/1.1\r\nhost: x\r\n');
    const trickle = setInterval(() => socket.write('a: b\r\n'), 50);
    expect(parse(await readAll(socket))).toEqual(badRequest(408));
    clearInterval(trickle);
  });

  it('a body that trickles in is cut off', async () => {
    const { port } = await listen();
    const { token } = await granting.createOwner();
    expect(parse(await trickle(port, token))).toEqual(badRequest(408));
  });

  it('a body that trickles in after its request was refused gets no second answer', async () => {
    const { port } = await listen();
    const answer = await trickle(port, 'no-token');
    expect(answer.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 401']);
  });

  it('a request that we cannot finish is answered in time', async () => {
    const app = await granting.startApp({ timeouts: { ...timeouts, handlerMs: 300 } });
    const { userId: user, token } = await granting.createOwner();
    const userId = toUserId(user);
    const release = Promise.withResolvers<undefined>();
    const locked = Promise.withResolvers<undefined>();
    const holding = granting.admin.sync.asUser(userId, async (tx) => {
      await holdMission(tx, toMissionId('m1'));
      locked.resolve(undefined);
      await release.promise;
    });
    await locked.promise;
    const response = await revoke(app, token, 'm1');
    release.resolve(undefined);
    await holding;
    expect(response.statusCode).toBe(503);
    expect(response.json()).toEqual({
      error: expect.stringContaining('too long') as string,
      code: 'TIMEOUT',
    });
    // It goes on without its client; the pool must be free before the test ends.
    await waitUntil('the lock is free', async () => {
      const waiting = await granting.admin.sync.system`
        select 1 from pg_catalog.pg_locks where locktype = 'advisory'`;
      return waiting.length === 0;
    });
  });
});

describe('the keys of user tokens', () => {
  const closing: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0)) await close();
  });
  /** An issuer whose key endpoint answers as `answer` says. */
  const issuerThat = async (answer: RequestListener): Promise<{ url: string; requests: () => number }> => {
    let requests = 0;
    const server = createServer((request, response) => {
      requests += 1;
      answer(request, response);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    closing.push(() => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    });
    return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests: () => requests };
  };
  const keysOf = async (): Promise<string> => (await fetch(`${granting.issuer.url}/api/v1/auth/jwks`)).text();
  const appAt = (jwksUrl: string, more: { cacheMaxAgeMs?: number } = {}) =>
    granting.startApp({
      identity: { jwksUrl, issuer: granting.issuer.url, audience: 'mana', cooldownMs: 0, ...more },
    });

  it.each([
    ['an error', 500, 'text/plain', 'broken'],
    ['a page instead of keys', 200, 'text/html', '<html>login</html>'],
    ['something else as JSON', 200, 'application/json', '{"error":"maintenance"}'],
    ['half an answer', 200, 'application/json', '{"keys":[{'],
    ['a redirect', 302, 'text/plain', ''],
  ])('an issuer that answers with %s makes it 503, never 401', async (_what, status, type, content) => {
    const { url } = await issuerThat((_request, response) =>
      response.writeHead(status, { 'content-type': type, location: '/elsewhere' }).end(content),
    );
    const { token } = await granting.createOwner();
    const response = await show(await appAt(url), token, 'm1');
    expect(response.statusCode).toBe(503);
    expect(response.json()).toMatchObject({ code: 'IDENTITY_UNAVAILABLE' });
  });

  it('are fetched once for many requests at once', async () => {
    const content = await keysOf();
    const { url, requests } = await issuerThat((_request, response) =>
      response.writeHead(200, { 'content-type': 'application/json' }).end(content),
    );
    const app = await appAt(url);
    const { token } = await granting.createOwner();
    const responses = await Promise.all(Array.from({ length: 20 }, () => show(app, token, 'm1')));
    expect(new Set(responses.map(({ statusCode }) => statusCode))).toEqual(new Set([200]));
    expect(requests()).toBe(1);
  });

  it('serve until they are too old; then an unreachable issuer is 503, and 200 once it is back', async () => {
    const content = await keysOf();
    let isUp = true;
    const { url } = await issuerThat((_request, response) =>
      isUp
        ? response.writeHead(200, { 'content-type': 'application/json' }).end(content)
        : response.destroy(),
    );
    const { token } = await granting.createOwner();
    const fresh = await appAt(url, { cacheMaxAgeMs: 60_000 });
    const stale = await appAt(url, { cacheMaxAgeMs: 0 });
    const statuses = async (): Promise<number[]> =>
      (await Promise.all([fresh, stale].map((app) => show(app, token, 'm1')))).map(
        ({ statusCode }) => statusCode,
      );
    expect(await statuses()).toEqual([200, 200]);
    isUp = false;
    expect(await statuses()).toEqual([200, 503]);
    isUp = true;
    expect(await statuses()).toEqual([200, 200]);
  });

  it('a token of a key that nobody knows is 503 while the issuer is away, and 401 when it is there', async () => {
    const content = await keysOf();
    let isUp = true;
    const { url } = await issuerThat((_request, response) =>
      isUp
        ? response.writeHead(200, { 'content-type': 'application/json' }).end(content)
        : response.destroy(),
    );
    const app = await appAt(url);
    const { userId, token } = await granting.createOwner();
    expect((await show(app, token, 'm1')).statusCode).toBe(200);
    await granting.issuer.rotate({ keepOldKeys: true });
    const renewed = await granting.issuer.issueToken({ sub: userId });
    isUp = false;
    expect((await show(app, renewed, 'm1')).statusCode).toBe(503);
    isUp = true;
    expect((await show(app, renewed, 'm1')).statusCode).toBe(401);
  });
});

import { createHash, randomBytes } from 'node:crypto';
import { defaultPayloadConverter, type Payload } from '@temporalio/common';
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { buildApp } from '#api/app.ts';
import { SESSION_COOKIE, SESSION_TTL_MS } from '#api/plugins/operator-session.ts';
import type { CodecEndpointSettings } from '#api/routes/codec/codec-endpoint.ts';
import { openDatabase, type Database } from '#db/client.ts';
import { createLogger } from '#logging/logger.ts';
import { createPayloadCodec, type CodecKeys } from '#temporal/payload-codec.ts';

const UI = 'http://127.0.0.1:8233';
const TOKEN = randomBytes(32).toString('base64url');
const NEXT_TOKEN = randomBytes(32).toString('base64url');
const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest();
const tokenIdOf = (token: string): string => sha256(token).toString('hex').slice(0, 8);
const [key, oldKey] = [randomBytes(32), randomBytes(32)];
const codecKeys: CodecKeys = {
  primaryKeyId: 'new',
  keys: new Map([
    ['new', key],
    ['old', oldKey],
  ]),
};
const settings: CodecEndpointSettings = { operatorTokenSha256: [sha256(TOKEN)], corsOrigin: UI, codecKeys };
const keyRing = (id: string, bytes: Buffer): CodecKeys => ({
  primaryKeyId: id,
  keys: new Map([[id, bytes]]),
});

let app: FastifyInstance;
let databases: readonly Database[];
let lines: string[];
let nowMs: number;
const apps: FastifyInstance[] = [];

/** The API as in production, but for its databases: these routes need none. */
async function build(
  codecEndpoint: CodecEndpointSettings | null,
  trustedProxies: readonly string[] = [],
): Promise<FastifyInstance> {
  const [syncDatabase, authDatabase] = databases;
  if (syncDatabase === undefined || authDatabase === undefined) throw new Error('no databases');
  const built = await buildApp({
    syncDatabase,
    authDatabase,
    identity: { jwksUrl: 'http://127.0.0.1:9/jwks', issuer: 'nobody', audience: 'mana' },
    keks: { default: null, byId: new Map() },
    grantPublicKey: null,
    grantMintVersion: 'v2',
    corsOrigins: ['https://app.example.org'],
    trustedProxies,
    codecEndpoint,
    logger: createLogger('api', 'debug', { write: (line: string) => lines.push(line) }),
    now: () => nowMs,
  });
  apps.push(built);
  return built;
}

beforeEach(async () => {
  const url = 'postgres://nobody:nothing@127.0.0.1:9/none';
  databases = [1, 2].map(() => openDatabase({ url, applicationName: 'codec-test', maxConnections: 2 }));
  lines = [];
  nowMs = Date.now();
  app = await build(settings);
});
afterEach(async () => {
  await Promise.all(apps.splice(0).map((each) => each.close()));
  await Promise.all(databases.map((database) => database.close()));
});

const json = (payload: Payload) => ({
  metadata: Object.fromEntries(
    Object.entries(payload.metadata ?? {}).map(([name, value]) => [
      name,
      Buffer.from(value).toString('base64'),
    ]),
  ),
  data: Buffer.from(payload.data ?? []).toString('base64'),
});
const encrypted = async (value: unknown, keys = codecKeys) => {
  const payloads = await createPayloadCodec(keys).encode([defaultPayloadConverter.toPayload(value)]);
  return payloads.map(json)[0];
};
const plain = (value: unknown) => json(defaultPayloadConverter.toPayload(value));
const MARK = 'this stands in the payload';

const decode = (
  payloads: unknown,
  headers: Readonly<Record<string, string>> = {},
  on = app,
): Promise<LightMyRequestResponse> =>
  on.inject({
    method: 'POST',
    url: '/codec/decode',
    headers: { 'content-type': 'application/json', 'x-namespace': 'missions', ...headers },
    payload: JSON.stringify({ payloads }),
  });
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

const sameOrigin = {
  host: '127.0.0.1:3566',
  origin: 'http://127.0.0.1:3566',
  'sec-fetch-site': 'same-origin',
};
const form = (
  url: string,
  fields: Readonly<Record<string, string>>,
  headers: InjectOptions['headers'] = sameOrigin,
  on = app,
): Promise<LightMyRequestResponse> =>
  on.inject({
    method: 'POST',
    url,
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    payload: new URLSearchParams(fields).toString(),
  });
const cookieOf = (response: LightMyRequestResponse) =>
  response.cookies.find(({ name }) => name === SESSION_COOKIE);
async function logIn(on = app, token = TOKEN): Promise<{ readonly cookie: string; readonly origin: string }> {
  const response = await form('/codec/login', { token }, sameOrigin, on);
  expect(response.statusCode).toBe(303);
  return { cookie: `${SESSION_COOKIE}=${cookieOf(response)?.value ?? ''}`, origin: UI };
}
const logged = (message: string): Record<string, unknown>[] =>
  lines.map((line) => JSON.parse(line) as Record<string, unknown>).filter(({ msg }) => msg === message);

describe('the CLI', () => {
  it('with the operator token gets payloads decoded, also those under an old key', async () => {
    const payloads = [
      await encrypted({ missionId: 'm1' }),
      await encrypted('old', { ...codecKeys, primaryKeyId: 'old' }),
    ];
    const response = await decode(payloads, bearer(TOKEN));
    expect(response.statusCode).toBe(200);
    expect(response.json()).toEqual({ payloads: [plain({ missionId: 'm1' }), plain('old')] });
    expect(response.headers['cache-control']).toBe('no-store');
  });

  it('gets what is not encrypted back as it sent it, unknown fields included', async () => {
    const payload = { ...plain('clear'), externalPayloads: [{ sizeBytes: '7' }] };
    const response = await decode([payload, {}], bearer(TOKEN));
    expect(response.json()).toEqual({ payloads: [payload, {}] });
  });

  it('may send base64 of the URL-safe alphabet, as protobuf JSON allows', async () => {
    const payload = await encrypted('text');
    const urlSafe = payload?.data.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
    const response = await decode([{ ...payload, data: urlSafe }], bearer(TOKEN));
    expect(response.json()).toEqual({ payloads: [plain('text')] });
  });

  it.each([
    ['no token', {}],
    ['another token', bearer(randomBytes(32).toString('base64url'))],
    ['the hash of the token', bearer(sha256(TOKEN).toString('hex'))],
    ['the token without its scheme', { authorization: TOKEN }],
    ['the token as basic authentication', { authorization: `Basic ${TOKEN}` }],
  ])('with %s gets 401 before its body is read', async (_what, headers) => {
    const response = await app.inject({
      method: 'POST',
      url: '/codec/decode',
      headers: { 'content-type': 'application/json', ...headers },
      payload: '{ this is no JSON',
    });
    expect(response.statusCode).toBe(401);
    expect(response.json()).toMatchObject({ code: 'UNAUTHORIZED' });
    expect(logged('decoding refused')).toHaveLength(1);
    expect(lines.join('')).not.toContain(TOKEN);
  });

  it('while the token is changed, both are accepted', async () => {
    const both = await build({ ...settings, operatorTokenSha256: [sha256(NEXT_TOKEN), sha256(TOKEN)] });
    for (const token of [TOKEN, NEXT_TOKEN])
      expect((await decode([], bearer(token), both)).statusCode).toBe(200);
  });
});

describe('payloads that do not open', () => {
  it('under an unknown key: 400 that names the key id and no content', async () => {
    const foreign = await encrypted(MARK, keyRing('lost', randomBytes(32)));
    const response = await decode([await encrypted(1), foreign], bearer(TOKEN));
    expect(response.statusCode).toBe(400);
    expect(response.json()).toEqual({
      error: 'payloads.1: its key id is "lost", which TEMPORAL_CODEC_KEYS of this process does not hold',
      code: 'BAD_REQUEST',
    });
    expect(logged('payloads not decoded')).toHaveLength(1);
    expect(lines.join('')).not.toContain(foreign?.data.slice(0, 20));
  });

  it('a key id that is no id is not repeated', async () => {
    const foreign = await encrypted(MARK, keyRing('<script>\n', randomBytes(32)));
    const response = await decode([foreign], bearer(TOKEN));
    expect(response.json()).toMatchObject({ error: expect.stringContaining('of another form') as string });
  });

  it('altered, or under an id that now means another key: 400', async () => {
    const payload = await encrypted(MARK);
    const altered = Buffer.from(payload?.data ?? '', 'base64');
    altered[20] = (altered[20] ?? 0) ^ 1;
    const swapped = await encrypted(MARK, keyRing('new', randomBytes(32)));
    for (const bad of [{ ...payload, data: altered.toString('base64') }, swapped, { ...payload, data: '' }]) {
      const response = await decode([bad], bearer(TOKEN));
      expect(response.statusCode).toBe(400);
      expect(response.json()).toMatchObject({ error: expect.stringContaining('does not open') as string });
    }
  });

  it.each([
    ['no object', 'null'],
    ['payloads that are no list', '{"payloads":{}}'],
    ['a payload that is none', '{"payloads":[1]}'],
    ['data that is no base64', '{"payloads":[{"data":"§"}]}'],
    ['metadata that are no texts', '{"payloads":[{"metadata":{"encoding":1}}]}'],
  ])('%s: 400', async (_what, payload) => {
    const headers = { 'content-type': 'application/json', ...bearer(TOKEN) };
    const response = await app.inject({ method: 'POST', url: '/codec/decode', headers, payload });
    expect(response.statusCode).toBe(400);
    expect(response.json()).toMatchObject({ code: 'BAD_REQUEST' });
  });
});

describe('the Temporal UI', () => {
  it('with the cookie of a login gets payloads decoded', async () => {
    const session = await logIn();
    const response = await decode([await encrypted({ missionId: 'm1' })], session);
    expect(response.statusCode).toBe(200);
    expect(response.json()).toEqual({ payloads: [plain({ missionId: 'm1' })] });
    expect(response.headers['access-control-allow-origin']).toBe(UI);
    expect(response.headers['access-control-allow-credentials']).toBe('true');
  });

  it('without a login gets 401 that its page may read', async () => {
    const response = await decode([await encrypted(MARK)], { origin: UI });
    expect(response.statusCode).toBe(401);
    expect(response.body).not.toContain(MARK);
    expect(response.headers['access-control-allow-origin']).toBe(UI);
  });

  it('the cookie is of no use to a page of another origin, or without one', async () => {
    const { cookie } = await logIn();
    for (const origin of ['http://127.0.0.1:9999', 'https://app.example.org', 'null', `${UI}.example.org`]) {
      const response = await decode([], { cookie, origin });
      expect(response.statusCode).toBe(401);
      expect(response.headers['access-control-allow-origin']).toBeUndefined();
    }
    expect((await decode([], { cookie })).statusCode).toBe(401);
  });

  const preflight = (origin: string, url = '/codec/decode', on = app) =>
    on.inject({
      method: 'OPTIONS',
      url,
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'content-type,x-namespace',
      },
    });

  it('its preflight is answered, and nobody else’s', async () => {
    const response = await preflight(UI);
    expect(response.statusCode).toBe(204);
    expect(response.headers).toMatchObject({
      'access-control-allow-origin': UI,
      'access-control-allow-credentials': 'true',
      'access-control-allow-methods': 'POST',
      'access-control-allow-headers': 'authorization, content-type, x-namespace',
    });
    for (const origin of ['https://app.example.org', 'http://127.0.0.1:9999', 'null', '*']) {
      const refused = await preflight(origin);
      expect(refused.statusCode).toBe(404);
      expect(refused.headers).not.toHaveProperty('access-control-allow-origin');
      expect(refused.headers).not.toHaveProperty('access-control-allow-credentials');
    }
  });

  it('its origin opens no other route', async () => {
    for (const url of ['/codec/login', '/api/v1/me/ai-audit']) {
      const response = await preflight(UI, url);
      expect(response.headers).not.toHaveProperty('access-control-allow-origin');
    }
  });

  it('without CODEC_CORS_ORIGIN there is no login, and the CLI still decodes', async () => {
    const cliOnly = await build({ ...settings, corsOrigin: null });
    expect((await cliOnly.inject({ url: '/codec/login' })).statusCode).toBe(404);
    expect((await form('/codec/login', { token: TOKEN }, sameOrigin, cliOnly)).statusCode).toBe(404);
    expect((await preflight(UI, '/codec/decode', cliOnly)).statusCode).toBe(404);
    expect((await decode([], bearer(TOKEN), cliOnly)).statusCode).toBe(200);
  });
});

describe('a session', () => {
  it('is a cookie that no script reads and no other site sends', async () => {
    const cookie = cookieOf(await form('/codec/login', { token: TOKEN }));
    expect(cookie).toMatchObject({
      httpOnly: true,
      sameSite: 'Strict',
      path: '/codec',
      maxAge: SESSION_TTL_MS / 1000,
    });
    expect(cookie).not.toHaveProperty('secure');
    expect(cookie).not.toHaveProperty('domain');
    expect(cookie?.value).not.toContain(TOKEN);
  });

  it('behind https its cookie is Secure', async () => {
    const behindProxy = await build(settings, ['127.0.0.1']);
    const headers = {
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'missions.example.org',
      origin: 'https://missions.example.org',
    };
    const response = await form('/codec/login', { token: TOKEN }, headers, behindProxy);
    expect(cookieOf(response)).toMatchObject({ secure: true });
  });

  it('expires', async () => {
    const session = await logIn();
    nowMs += SESSION_TTL_MS - 1;
    expect((await decode([], session)).statusCode).toBe(200);
    nowMs += 1;
    expect((await decode([], session)).statusCode).toBe(401);
  });

  it('ends with the logout, for a copy of its cookie as well', async () => {
    const session = await logIn();
    const other = await logIn();
    const response = await form('/codec/logout', {}, { ...sameOrigin, cookie: session.cookie });
    expect(response.statusCode).toBe(303);
    expect(cookieOf(response)).toMatchObject({ value: '', path: '/codec' });
    expect((await decode([], session)).statusCode).toBe(401);
    expect((await decode([], other)).statusCode).toBe(200);
  });

  it('that was ended elsewhere is over after half an hour at the latest, however often its copy is used', async () => {
    const session = await logIn();
    const another = await build(settings);
    await form('/codec/logout', {}, { ...sameOrigin, cookie: session.cookie });
    expect(SESSION_TTL_MS).toBeLessThanOrEqual(30 * 60_000);
    for (let tenth = 0; tenth < 10; tenth += 1) {
      const answer = await decode([], session, another);
      expect(answer.statusCode).toBe(200);
      expect(answer.cookies).toEqual([]);
      nowMs += SESSION_TTL_MS / 10;
    }
    expect((await decode([], session, another)).statusCode).toBe(401);
  });

  it('ends when its token is taken out of the configuration', async () => {
    const session = await logIn();
    const replaced = await build({ ...settings, operatorTokenSha256: [sha256(NEXT_TOKEN)] });
    expect((await decode([], session, replaced)).statusCode).toBe(401);
  });

  it('is known to every API process with the same codec keys, also while these are rotated', async () => {
    const session = await logIn();
    const another = await build(settings);
    expect((await decode([], session, another)).statusCode).toBe(200);
    const rotated = await build({ ...settings, codecKeys: { ...codecKeys, primaryKeyId: 'old' } });
    expect((await decode([], session, rotated)).statusCode).toBe(200);
    const foreign = await build({ ...settings, codecKeys: keyRing('new', randomBytes(32)) });
    expect((await decode([], session, foreign)).statusCode).toBe(401);
  });

  it('with any changed character is none', async () => {
    const { cookie, origin } = await logIn();
    const start = cookie.indexOf('=') + 1;
    for (let index = start; index < cookie.length; index += 1) {
      // The last character of the signature has two unused bits.
      const changed = cookie[index] === 'A' ? 'Q' : 'A';
      const altered = `${cookie.slice(0, index)}${changed}${cookie.slice(index + 1)}`;
      expect((await decode([], { cookie: altered, origin })).statusCode).toBe(401);
    }
    const unsigned = decodeURIComponent(cookie).split('.').slice(0, 3).join('.');
    expect((await decode([], { cookie: unsigned, origin })).statusCode).toBe(401);
  });
});

describe('the login page', () => {
  it('runs nothing, loads nothing and cannot be framed', async () => {
    const response = await app.inject({ url: '/codec/login' });
    expect(response.statusCode).toBe(200);
    expect(response.body).toContain('type="password"');
    expect(response.body).not.toMatch(/<script|<img|<link|https?:/);
    const policy = String(response.headers['content-security-policy']);
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toContain('unsafe');
    expect(response.headers['cache-control']).toBe('no-store');
  });

  it('after the login says until when, and offers the way out', async () => {
    const { cookie } = await logIn();
    const response = await app.inject({ url: '/codec/login', headers: { cookie } });
    expect(response.body).toContain(new Date(nowMs + SESSION_TTL_MS).toISOString());
    expect(response.body).toContain('action="logout"');
  });

  it('refuses a wrong token, and repeats nothing of it', async () => {
    const response = await form('/codec/login', { token: '<b>wrong</b>' });
    expect(response.statusCode).toBe(401);
    expect(cookieOf(response)).toBeUndefined();
    expect(response.body).toContain('not an operator token');
    expect(response.body + lines.join('')).not.toContain('wrong');
    expect(logged('operator login refused')).toHaveLength(1);
  });

  it.each([
    ['another site', { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example.org' }],
    ['another port of this host', { 'sec-fetch-site': 'same-site', origin: 'http://127.0.0.1:8233' }],
    ['another origin, by a browser that says no more', { origin: 'http://127.0.0.1:8233' }],
    ['a page without an origin', { origin: 'null' }],
    ['nobody knows where', {}],
  ])('takes no form from %s', async (_where, headers) => {
    const { cookie, origin } = await logIn();
    const host = { host: '127.0.0.1:3566' };
    const login = await form('/codec/login', { token: TOKEN }, { ...host, ...headers });
    expect(login.statusCode).toBe(400);
    expect(cookieOf(login)).toBeUndefined();
    const logout = await form('/codec/logout', {}, { ...host, ...headers, cookie });
    expect(logout.statusCode).toBe(400);
    expect((await decode([], { cookie, origin })).statusCode).toBe(200);
  });

  it('takes its own form from a browser that sends the origin only', async () => {
    const headers = { host: '127.0.0.1:3566', origin: 'http://127.0.0.1:3566' };
    expect((await form('/codec/login', { token: TOKEN }, headers)).statusCode).toBe(303);
  });

  it('lets an address try ten times a minute', async () => {
    const statuses: number[] = [];
    for (let count = 0; count < 11; count += 1)
      statuses.push((await form('/codec/login', { token: `wrong ${count}` })).statusCode);
    expect(statuses).toEqual([...Array.from({ length: 10 }, () => 401), 429]);
    const right = await form('/codec/login', { token: TOKEN });
    expect(right.statusCode).toBe(429);
    expect(right.headers['retry-after']).toBeDefined();
  });

  it('takes no large form and no JSON list', async () => {
    expect((await form('/codec/login', { token: 'x'.repeat(10_000) })).statusCode).toBe(413);
    const list = await app.inject({
      method: 'POST',
      url: '/codec/login',
      headers: sameOrigin,
      payload: ['token'],
    });
    expect(list.statusCode).toBe(400);
  });
});

describe('the log', () => {
  it('has a line for every decode: who, namespace and count, never content', async () => {
    const payload = await encrypted(MARK);
    await decode([payload, payload], bearer(TOKEN));
    const session = await logIn();
    await decode([payload], { ...session, 'x-namespace': 'forged\u00e9 text' });
    const [byToken, bySession] = logged('payloads decoded');
    expect(byToken).toMatchObject({
      tokenId: tokenIdOf(TOKEN),
      sessionId: null,
      namespace: 'missions',
      payloads: 2,
    });
    const [login] = logged('operator logged in');
    expect(login?.['sessionId']).toMatch(/^[\w-]{22}$/);
    expect(bySession).toMatchObject({
      tokenId: tokenIdOf(TOKEN),
      sessionId: login?.['sessionId'],
      namespace: null,
      payloads: 1,
    });
    const text = lines.join('');
    for (const secret of [MARK, TOKEN, payload?.data ?? '', session.cookie.split('=')[1] ?? ''])
      expect(text).not.toContain(secret);
  });
});

describe('what is not there', () => {
  it('nothing encodes', async () => {
    for (const url of ['/codec/encode', '/encode', '/codec/download', '/decode']) {
      const response = await app.inject({
        method: 'POST',
        url,
        headers: bearer(TOKEN),
        payload: { payloads: [plain('x')] },
      });
      expect(response.statusCode).toBe(404);
    }
  });

  it('without configuration there is no codec endpoint', async () => {
    const without = await build(null);
    expect((await decode([], bearer(TOKEN), without)).statusCode).toBe(404);
    expect((await without.inject({ url: '/codec/login' })).statusCode).toBe(404);
    expect((await form('/codec/logout', {}, sameOrigin, without)).statusCode).toBe(404);
  });
});

import type { FastifyInstance, LightMyRequestResponse } from 'fastify';
import { generateKeyPair, SignJWT } from 'jose';
import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { buildApp } from '../../api/app.ts';
import type { ApiDependencies } from '../../api/app.ts';
import { publicKeyId } from '../../crypto/key-id.ts';
import { deriveMissionDataKey } from '../../crypto/mission-data-key.ts';
import { unwrapGrant } from '../../crypto/unwrap-grant.ts';
import { wrapMasterKey } from '../../crypto/wrap-master-key.ts';
import { sha256OfWrappedKey } from '../../crypto/wrap-grant.ts';
import { openDatabase } from '../../db/client.ts';
import type { Database } from '../../db/client.ts';
import { startJwksIssuer } from '../../dev/jwks-issuer.ts';
import type { JwksIssuer } from '../../dev/jwks-issuer.ts';
import type { Grant } from '../../domain/grant.ts';
import { toUserId } from '../../domain/ids.ts';
import { createLogger } from '../../logging/logger.ts';
import { createTestDatabases } from '../support/databases.ts';
import type { TestDatabases } from '../support/databases.ts';

const GRANT_URL = '/api/v1/me/ai-mission-grant';
const AUDIT_URL = '/api/v1/me/ai-audit';
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

const kek = randomBytes(32);
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const request = { missionId: 'mission-1', tables: ['notes'], recordIds: ['notes:n1'] };

let databases: TestDatabases;
let admin: { readonly sync: Database; readonly auth: Database };
/** With the login user of production. */
let api: { readonly sync: Database; readonly auth: Database };
let issuer: JwksIssuer;
const apps: FastifyInstance[] = [];
const logLines: string[] = [];

const open = (url: string): Database => openDatabase({ url, applicationName: 'api-test', maxConnections: 2 });

beforeAll(async () => {
  databases = await createTestDatabases();
  admin = { sync: open(databases.superuser.syncUrl), auth: open(databases.superuser.authUrl) };
  api = { sync: open(databases.urls.api.sync), auth: open(databases.urls.api.auth) };
});
afterAll(async () => {
  await Promise.all([admin.sync, admin.auth, api.sync, api.auth].map((database) => database.close()));
  await databases.drop();
});
beforeEach(async () => {
  issuer = await startJwksIssuer();
  logLines.length = 0;
});
afterEach(async () => {
  await Promise.all(apps.splice(0).map((app) => app.close()));
  await issuer.close().catch(() => undefined);
});

async function startApp(changes: Partial<ApiDependencies> = {}): Promise<FastifyInstance> {
  const app = await buildApp({
    syncDatabase: api.sync,
    authDatabase: api.auth,
    identity: {
      jwksUrl: `${issuer.url}/api/v1/auth/jwks`,
      issuer: issuer.url,
      audience: 'mana',
      cooldownMs: 0,
    },
    keks: { default: kek, byId: new Map() },
    grantPublicKey: rsa.publicKey,
    grantMintVersion: 'v2',
    corsOrigins: ['https://app.test'],
    trustedProxies: [],
    logger: createLogger('api', 'debug', { write: (line) => void logLines.push(line) }),
    ...changes,
  });
  apps.push(app);
  return app;
}

interface Vault {
  readonly wrappedMkBase64: string | null;
  readonly wrapIvBase64: string | null;
  readonly zeroKnowledge?: boolean;
}
async function createVault(userId: string, vault: Vault): Promise<void> {
  await admin.auth.system`
    insert into auth.encryption_vaults (user_id, wrapped_mk, wrap_iv, kek_id, zero_knowledge)
    values (${userId}, ${vault.wrappedMkBase64}, ${vault.wrapIvBase64}, 'env-v1', ${vault.zeroKnowledge ?? false})`;
}
async function createUser(): Promise<string> {
  const userId = `user-${randomUUID()}`;
  await admin.auth.system`insert into auth.users (id) values (${userId})`;
  return userId;
}
/** A user with a vault. */
async function createOwner(): Promise<{ userId: string; masterKey: Buffer; token: string }> {
  const [userId, masterKey] = [await createUser(), randomBytes(32)];
  await createVault(userId, wrapMasterKey(kek, masterKey));
  return { userId, masterKey, token: await issuer.issueToken({ sub: userId }) };
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const mint = (app: FastifyInstance, token: string, body: object = request) =>
  app.inject({ method: 'POST', url: GRANT_URL, headers: bearer(token), payload: body });
const grantOf = (response: LightMyRequestResponse): Grant => {
  expect(response.statusCode, response.body).toBe(200);
  return response.json<Grant>();
};

/** Everything that a request could have written. */
async function countRows(): Promise<Record<string, number>> {
  const [sync] = await admin.sync.system<Record<string, number>[]>`
    select (select count(*)::int from mana_ai.mission_grants) as grants,
      (select count(*)::int from mana_ai.mission_time_zones) as zones,
      (select count(*)::int from mana_ai.decrypt_audit) as audit,
      (select count(*)::int from mana_ai.mission_snapshots) as snapshots,
      (select count(*)::int from public.sync_changes) as changes`;
  const [auth] = await admin.auth.system<Record<string, number>[]>`
    select (select count(*)::int from auth.encryption_vault_audit) as "vaultAudit",
      (select count(*)::int from auth.encryption_vaults) as vaults`;
  return { ...sync, ...auth };
}
const vaultAudit = (userId: string) =>
  admin.auth.system<{ action: string; status: number; context: string; ip_address: string }[]>`
    select action, status, context, ip_address from auth.encryption_vault_audit where user_id = ${userId}`;

async function expectRefusal(
  response: Promise<LightMyRequestResponse>,
  expected: { status: number; code: string },
): Promise<void> {
  const before = await countRows();
  const { statusCode, body } = await response;
  expect({ status: statusCode, body: JSON.parse(body) as unknown }).toEqual({
    status: expected.status,
    body: { error: expect.stringMatching(/./) as string, code: expected.code },
  });
  expect(await countRows()).toEqual(before);
}

describe('minting a grant', () => {
  it('answers with the four fields of the contract, and the runner can unwrap the key of the scope', async () => {
    const app = await startApp();
    const { userId, masterKey, token } = await createOwner();
    const body = {
      missionId: 'm-1',
      tables: ['tasks', 'notes'],
      recordIds: ['tasks:b', 'notes:z', 'notes:a'],
    };
    const grant = grantOf(await mint(app, token, { ...body, somethingNew: true }));

    expect(Object.keys(grant)).toEqual(['wrappedKey', 'derivation', 'issuedAt', 'expiresAt']);
    expect(grant.derivation).toEqual({
      version: 'v2',
      missionId: 'm-1',
      tables: ['notes', 'tasks'],
      recordIds: ['notes:a', 'notes:z', 'tasks:b'],
    });
    const unwrapped = unwrapGrant({
      privateKeys: [rsa.privateKey],
      userId: toUserId(userId),
      grant,
      nowMs: Date.now(),
    });
    const mdk = deriveMissionDataKey({ ...grant, userId: toUserId(userId), masterKey });
    expect(unwrapped).toEqual({ ok: true, mdk, keyId: publicKeyId(rsa.publicKey) });
  });

  it('writes one row of the mint log, one of the vault audit and the time zone, as its user', async () => {
    const app = await startApp();
    const { userId, token } = await createOwner();
    const before = await countRows();
    const grant = grantOf(await mint(app, token, { ...request, timeZone: 'Europe/Berlin' }));

    const after = await countRows();
    expect(after).toEqual({
      ...before,
      grants: (before['grants'] ?? 0) + 1,
      zones: (before['zones'] ?? 0) + 1,
      vaultAudit: (before['vaultAudit'] ?? 0) + 1,
    });
    const [row] = await admin.sync.system<Record<string, unknown>[]>`
      select wrapped_key_sha256, mission_id, version, tables, record_ids, key_id, origin, issued_at, expires_at,
        revoked_at, first_used_at, pinned_agent_id
      from mana_ai.mission_grants where user_id = ${userId}`;
    expect(row).toEqual({
      wrapped_key_sha256: sha256OfWrappedKey(grant.wrappedKey),
      mission_id: request.missionId,
      version: 'v2',
      tables: ['notes'],
      record_ids: ['notes:n1'],
      key_id: publicKeyId(rsa.publicKey),
      origin: 'minted',
      issued_at: new Date(grant.issuedAt),
      expires_at: new Date(grant.expiresAt),
      revoked_at: null,
      first_used_at: null,
      pinned_agent_id: null,
    });
    expect(await vaultAudit(userId)).toEqual([
      { action: 'ai-mission-grant', status: 200, context: 'mission mission-1', ip_address: '127.0.0.1' },
    ]);
  });

  it('keeps the last time zone that was named, and no request without one changes it', async () => {
    const app = await startApp();
    const { userId, token } = await createOwner();
    for (const timeZone of ['Europe/Berlin', 'America/New_York', undefined, null]) {
      grantOf(await mint(app, token, { ...request, timeZone }));
    }
    const rows = await admin.sync.system`
      select mission_id, time_zone from mana_ai.mission_time_zones where user_id = ${userId}`;
    expect(rows).toEqual([{ mission_id: 'mission-1', time_zone: 'America/New_York' }]);
  });

  it('as v1 gives the contract’s key: the same for the same scope', async () => {
    const app = await startApp({ grantMintVersion: 'v1' });
    const { userId, masterKey, token } = await createOwner();
    const grants = [grantOf(await mint(app, token)), grantOf(await mint(app, token))];
    const mdks = grants.map((grant) => {
      expect(grant.derivation.version).toBe('v1');
      const unwrapped = unwrapGrant({
        privateKeys: [rsa.privateKey],
        // A v1 grant is bound to no user.
        userId: toUserId('anybody'),
        grant,
        nowMs: Date.now(),
      });
      return unwrapped.ok ? unwrapped.mdk.toString('hex') : unwrapped.reason;
    });
    const [grant] = grants;
    const expected =
      grant && deriveMissionDataKey({ ...grant, userId: toUserId(userId), masterKey }).toString('hex');
    expect(mdks).toEqual([expected, expected]);
  });

  const nowMs = Date.UTC(2026, 0, 1);
  it.each([
    [undefined, 7 * DAY_MS],
    ['soon', 7 * DAY_MS],
    [null, 7 * DAY_MS],
    [0, HOUR_MS],
    [-1, HOUR_MS],
    [2 * HOUR_MS, 2 * HOUR_MS],
    [30 * DAY_MS + 1, 30 * DAY_MS],
    [1e300, 30 * DAY_MS],
  ])('a ttl of %s lives %i ms', async (ttlMs, livesMs) => {
    const app = await startApp({ now: () => nowMs });
    const { token } = await createOwner();
    const grant = grantOf(await mint(app, token, { ...request, ttlMs }));
    expect(grant.issuedAt).toBe('2026-01-01T00:00:00.000Z');
    expect(Date.parse(grant.expiresAt) - nowMs).toBe(livesMs);
  });

  it('takes 1000 record ids of 300 characters and keeps duplicates', async () => {
    const app = await startApp();
    const { userId, token } = await createOwner();
    const recordIds = Array.from({ length: 999 }, (_, index) => `notes:${String(index).padStart(294, 'x')}`);
    const grant = grantOf(await mint(app, token, { ...request, recordIds: [...recordIds, recordIds[0]] }));
    expect(grant.derivation.recordIds).toHaveLength(1000);
    const opened = unwrapGrant({
      privateKeys: [rsa.privateKey],
      userId: toUserId(userId),
      grant,
      nowMs: Date.now(),
    });
    expect(opened.ok).toBe(true);
  });

  it('takes a vault under a KEK that is known by its id', async () => {
    const other = randomBytes(32);
    const app = await startApp({ keks: { default: randomBytes(32), byId: new Map([['env-v1', other]]) } });
    const userId = await createUser();
    await createVault(userId, wrapMasterKey(other, randomBytes(32)));
    grantOf(await mint(app, await issuer.issueToken({ sub: userId })));
  });

  it('needs neither mission nor records in the log, and reads none of them', async () => {
    const app = await startApp();
    const { token } = await createOwner();
    grantOf(await mint(app, token, { ...request, missionId: 'never-pushed', tables: ['notes', 'unused'] }));
  });

  it('two requests for one mission at once are two grants', async () => {
    const app = await startApp();
    const { userId, token } = await createOwner();
    const grants = await Promise.all(Array.from({ length: 8 }, async () => grantOf(await mint(app, token))));
    expect(new Set(grants.map((grant) => grant.wrappedKey)).size).toBe(8);
    const [row] = await admin.sync.system<{ count: number }[]>`
      select count(*)::int as count from mana_ai.mission_grants where user_id = ${userId}`;
    expect(row?.count).toBe(8);
  });
});

describe('a request for a grant that is refused writes nothing', () => {
  const unauthorized = { status: 401, code: 'UNAUTHORIZED' };

  it('without a token', async () => {
    const app = await startApp();
    await expectRefusal(app.inject({ method: 'POST', url: GRANT_URL, payload: request }), unauthorized);
    for (const authorization of ['', 'Bearer', 'Bearer ', 'Basic dTpw', 'Bearer not.a.token', 'Bearer a b']) {
      const headers = { authorization };
      await expectRefusal(
        app.inject({ method: 'POST', url: GRANT_URL, headers, payload: request }),
        unauthorized,
      );
    }
  });

  it('with a token that has expired, or of another audience, issuer or key', async () => {
    const app = await startApp();
    const { userId: sub } = await createOwner();
    const { privateKey } = await generateKeyPair('EdDSA', { crv: 'Ed25519' });
    const tokens = [
      await issuer.issueToken({ sub, expiresInSeconds: -1 }),
      await issuer.issueToken({ sub, aud: 'somebody-else' }),
      await issuer.issueToken({ sub, iss: 'https://auth.elsewhere.test' }),
      await issuer.issueToken({ sub, signWith: { alg: 'EdDSA', key: privateKey } }),
      await new SignJWT({ sub, iss: issuer.url, aud: 'mana' })
        .setProtectedHeader({ alg: 'EdDSA', kid: 'unknown' })
        .setExpirationTime('1h')
        .sign(privateKey),
    ];
    for (const token of tokens) await expectRefusal(mint(app, token), unauthorized);
  });

  it('with a token of another algorithm: none, HMAC with the public key, ECDSA', async () => {
    const app = await startApp();
    const { userId: sub, token } = await createOwner();
    const [, payload = '', signature = ''] = token.split('.');
    const header = (alg: string): string =>
      Buffer.from(JSON.stringify({ alg, kid: 'key-1' })).toString('base64url');
    const jwks = (await (await fetch(`${issuer.url}/api/v1/auth/jwks`)).json()) as { keys: { x: string }[] };
    const publicKeyBytes = Buffer.from(jwks.keys[0]?.x ?? '', 'base64url');
    const { privateKey } = await generateKeyPair('ES256');
    const tokens = [
      `${header('none')}.${payload}.`,
      `${header('none')}.${payload}.${signature}`,
      `${header('HS256')}.${payload}.${signature}`,
      await issuer.issueToken({ sub, signWith: { alg: 'HS256', key: publicKeyBytes } }),
      await issuer.issueToken({ sub, signWith: { alg: 'ES256', key: privateKey } }),
    ];
    for (const refused of tokens) await expectRefusal(mint(app, refused), unauthorized);
  });

  it('with a malformed body', async () => {
    const app = await startApp();
    const { token } = await createOwner();
    const post = (payload: string | object | undefined, contentType = 'application/json') =>
      app.inject({
        method: 'POST',
        url: GRANT_URL,
        headers: { ...bearer(token), ...(payload !== undefined && { 'content-type': contentType }) },
        ...(payload !== undefined && { payload }),
      });
    const badRequest = { status: 400, code: 'BAD_REQUEST' };
    const tooMany = Array.from({ length: 1001 }, (_, index) => `notes:${index}`);
    const bodies: (string | object | undefined)[] = [
      undefined,
      '',
      '{',
      '[]',
      'null',
      '"text"',
      '{"__proto__":{"missionId":"m"}}',
      {},
      { ...request, missionId: '' },
      { ...request, tables: [] },
      { ...request, recordIds: [] },
      { ...request, recordIds: tooMany },
      { ...request, recordIds: ['no-table'] },
      { ...request, recordIds: 'notes:n1' },
      { ...request, missionId: 'nul\0' },
      { ...request, timeZone: 'Nowhere/Land' },
    ];
    for (const body of bodies) await expectRefusal(post(body), badRequest);
    await expectRefusal(post('missionId=m', 'application/x-www-form-urlencoded'), badRequest);
    await expectRefusal(post(JSON.stringify({ ...request, missionId: 'x'.repeat(2_000_000) })), {
      status: 413,
      code: 'BAD_REQUEST',
    });
  });

  it('with a bad token and a bad body: the token comes first', async () => {
    const app = await startApp();
    await expectRefusal(mint(app, 'bad', {}), unauthorized);
  });

  it('where no key for grants is configured', async () => {
    const { token } = await createOwner();
    const notConfigured = { status: 503, code: 'GRANT_NOT_CONFIGURED' };
    await expectRefusal(mint(await startApp({ grantPublicKey: null }), token), notConfigured);
    await expectRefusal(
      mint(await startApp({ keks: { default: null, byId: new Map() } }), token),
      notConfigured,
    );
    await expectRefusal(mint(await startApp({ grantPublicKey: null }), token, {}), {
      status: 400,
      code: 'BAD_REQUEST',
    });
  });

  it('while the keys of tokens cannot be fetched: 503, and never 401', async () => {
    const app = await startApp();
    const { token } = await createOwner();
    await issuer.close();
    await expectRefusal(mint(app, token), { status: 503, code: 'IDENTITY_UNAVAILABLE' });
  });
});

describe('a vault that does not open', () => {
  interface Case {
    readonly what: string;
    readonly vault: Vault | null;
    readonly status: number;
    readonly code: string;
  }
  const wrapped = wrapMasterKey(kek, randomBytes(32));
  const cases: Case[] = [
    { what: 'no vault', vault: null, status: 404, code: 'VAULT_NOT_INITIALISED' },
    {
      what: 'zero-knowledge mode',
      vault: { wrappedMkBase64: null, wrapIvBase64: null, zeroKnowledge: true },
      status: 409,
      code: 'ZK_ACTIVE',
    },
    {
      what: 'another KEK',
      vault: wrapMasterKey(randomBytes(32), randomBytes(32)),
      status: 500,
      code: 'INTERNAL',
    },
    { what: 'no wrapped key', vault: { ...wrapped, wrappedMkBase64: null }, status: 500, code: 'INTERNAL' },
    {
      what: 'nonsense in it',
      vault: { ...wrapped, wrappedMkBase64: 'no base64' },
      status: 500,
      code: 'INTERNAL',
    },
  ];

  it.each(cases)(
    '$what: $status $code, and nothing is written but the audit row',
    async ({ vault, status, code }) => {
      const app = await startApp();
      const userId = await createUser();
      if (vault !== null) await createVault(userId, vault);
      const before = await countRows();
      const response = await mint(app, await issuer.issueToken({ sub: userId }), {
        ...request,
        timeZone: 'Europe/Berlin',
      });
      expect(response.statusCode).toBe(status);
      const body = response.json<{ error: string; code: string }>();
      expect(Object.keys(body)).toEqual(['error', 'code']);
      expect(body.code).toBe(code);
      if (status === 500) expect(body.error).toBe('internal error');
      expect(await countRows()).toEqual({ ...before, vaultAudit: (before['vaultAudit'] ?? 0) + 1 });
      expect(await vaultAudit(userId)).toMatchObject([{ action: 'ai-mission-grant', status }]);
    },
  );

  it('a user whom auth.users does not hold gets 404, with and without a vault, and no key', async () => {
    const app = await startApp();
    for (const vault of [null, wrapped]) {
      const userId = `ghost-${randomUUID()}`;
      if (vault !== null) await createVault(userId, vault);
      await expectRefusal(mint(app, await issuer.issueToken({ sub: userId })), {
        status: 404,
        code: 'VAULT_NOT_INITIALISED',
      });
    }
    expect(logLines.join('')).toMatch(/ghost-.*VAULT_NOT_INITIALISED.*vault not opened/);
  });

  it('without an audit row there is no grant', async () => {
    const { token } = await createOwner();
    const withoutAudit: Database = {
      ...api.auth,
      asUser: (userId, work) =>
        api.auth.asUser(userId, async (tx) => {
          await tx`set transaction read only`;
          return work(tx);
        }),
    };
    const app = await startApp({ authDatabase: withoutAudit });
    await expectRefusal(mint(app, token), { status: 500, code: 'INTERNAL' });
  });

  it('a grant that cannot be entered into the mint log is not given out', async () => {
    const { userId, token } = await createOwner();
    const readOnly: Database = {
      ...api.sync,
      asUser: (user, work) =>
        api.sync.asUser(user, async (tx) => {
          await tx`set transaction read only`;
          return work(tx);
        }),
    };
    const response = await mint(await startApp({ syncDatabase: readOnly }), token, {
      ...request,
      timeZone: 'Europe/Berlin',
    });
    expect(response.statusCode).toBe(500);
    expect(response.json()).toEqual({ error: 'internal error', code: 'INTERNAL' });
    const rows = await admin.sync.system`
      select 1 from mana_ai.mission_grants where user_id = ${userId}
      union all select 1 from mana_ai.mission_time_zones where user_id = ${userId}`;
    expect(rows).toHaveLength(0);
  });
});

describe('the keys of user tokens', () => {
  it('may be rotated: the new one is accepted, the old one no longer', async () => {
    const app = await startApp();
    const { userId, token } = await createOwner();
    grantOf(await mint(app, token));
    await issuer.rotate({ keepOldKeys: true });
    const renewed = await issuer.issueToken({ sub: userId });
    grantOf(await mint(app, renewed));
    grantOf(await mint(app, token));
    await issuer.rotate();
    grantOf(await mint(app, await issuer.issueToken({ sub: userId })));
    await expectRefusal(mint(app, token), { status: 401, code: 'UNAUTHORIZED' });
  });

  it('that were fetched serve on while the issuer is down', async () => {
    const app = await startApp();
    const { token } = await createOwner();
    grantOf(await mint(app, token));
    await issuer.close();
    grantOf(await mint(app, token));
    expect(issuer.requests()).toBe(1);
  });
});

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
      expect(health.json()).toEqual({ ok: true, status: 'ok', version: expect.any(String) as string });
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

import { generateKeyPair, SignJWT } from 'jose';
import { randomBytes, randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { wrapMasterKey } from '#dev/wrap-master-key.ts';
import type { Database } from '#db/client.ts';
import {
  GRANT_URL,
  admin,
  api,
  countRows,
  createOwner,
  createUser,
  createVault,
  expectRefusal,
  issuer,
  kek,
  logLines,
  mint,
  bearer,
  request,
  setUpGrantApi,
  startApp,
  vaultAudit,
  type Vault,
} from '#test/support/grant-api.ts';

setUpGrantApi();

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
    await expectRefusal(mint(app, token), { status: 503, code: 'DATABASE_UNAVAILABLE' });
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
    expect(response.statusCode).toBe(503);
    expect(response.json()).toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    const rows = await admin.sync.system`
      select 1 from mana_ai.mission_grants where user_id = ${userId}
      union all select 1 from mana_ai.mission_time_zones where user_id = ${userId}`;
    expect(rows).toHaveLength(0);
  });
});

import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK, type JWTPayload } from 'jose';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { IdentityUnavailableError, UnauthorizedError } from '#domain/base/errors.ts';
import { createTokenVerifier, type TokenVerifier } from './token-verifier.ts';

interface Key {
  readonly privateKey: CryptoKey;
  readonly jwk: JWK;
}
const createKey = async (kid?: string, alg = 'EdDSA'): Promise<Key> => {
  const options = alg === 'EdDSA' ? { crv: 'Ed25519' } : {};
  const { privateKey, publicKey } = await generateKeyPair(alg, { ...options, extractable: true });
  return { privateKey, jwk: { ...(await exportJWK(publicKey)), ...(kid !== undefined && { kid }) } };
};
const inOneHour = (): number => Math.floor(Date.now() / 1000) + 3600;
const claims = (): JWTPayload => ({ iss: 'https://auth.test', aud: 'mana', sub: 'user-1', exp: inOneHour() });
const sign = (key: Key, payload: JWTPayload, kid = key.jwk.kid, alg = 'EdDSA'): Promise<string> =>
  new SignJWT(payload).setProtectedHeader({ alg, ...(kid !== undefined && { kid }) }).sign(key.privateKey);

let server: Server;
let jwksUrl: string;
let answer: { status: number; body: string };
let fetches: number;
const serve = (...keys: Key[]): void => {
  answer = { status: 200, body: JSON.stringify({ keys: keys.map(({ jwk }) => jwk) }) };
};
beforeEach(async () => {
  fetches = 0;
  server = createServer((_request, response) => {
    fetches += 1;
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(answer.body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  jwksUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`;
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});
const verifier = (cooldownMs?: number): TokenVerifier =>
  createTokenVerifier({
    jwksUrl,
    issuer: 'https://auth.test',
    audience: 'mana',
    ...(cooldownMs !== undefined && { cooldownMs }),
  });

describe('a user token', () => {
  it('gives its subject', async () => {
    const key = await createKey('k1');
    serve(key);
    expect(await verifier()(await sign(key, claims()))).toBe('user-1');
  });

  it('may name one audience among several', async () => {
    const key = await createKey('k1');
    serve(key);
    expect(await verifier()(await sign(key, { ...claims(), aud: ['other', 'mana'] }))).toBe('user-1');
  });

  it.each([
    ['without expiry', { exp: undefined }],
    ['that has expired', { exp: Math.floor(Date.now() / 1000) - 1 }],
    ['that is not valid yet', { nbf: inOneHour() }],
    ['without subject', { sub: undefined }],
    ['with an empty subject', { sub: '' }],
    ['with a blank subject', { sub: '  ' }],
    ['with a subject that PostgreSQL cannot hold', { sub: 'user\0' }],
    ['without audience', { aud: undefined }],
    ['for another audience', { aud: 'other' }],
    ['without issuer', { iss: undefined }],
    ['of another issuer', { iss: 'https://auth.test/' }],
  ])('%s is refused', async (_what, change) => {
    const key = await createKey('k1');
    serve(key);
    const token = await sign(key, JSON.parse(JSON.stringify({ ...claims(), ...change })) as JWTPayload);
    await expect(verifier()(token)).rejects.toBeInstanceOf(UnauthorizedError);
  });

  it.each(['ES256', 'RS256', 'PS256'])(
    'by another algorithm is refused, though the issuer publishes a key for it: %s',
    async (alg) => {
      const [key, other] = await Promise.all([createKey('k1'), createKey('k2', alg)]);
      serve(key, other);
      const verify = verifier();
      expect(await verify(await sign(key, claims()))).toBe('user-1');
      for (const kid of ['k2', undefined])
        await expect(verify(await sign(other, claims(), kid, alg))).rejects.toBeInstanceOf(UnauthorizedError);
    },
  );

  it('without a signature, or signed with the public key as a secret, is refused', async () => {
    const key = await createKey('k1');
    serve(key);
    const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const unsigned = `${part({ alg: 'none', kid: 'k1' })}.${part(claims())}.`;
    await expect(verifier()(unsigned)).rejects.toBeInstanceOf(UnauthorizedError);
    const publicBytes = Buffer.from(String(key.jwk.x), 'base64url');
    const byPublicKey = new SignJWT(claims()).setProtectedHeader({ alg: 'HS256', kid: 'k1' });
    await expect(verifier()(await byPublicKey.sign(publicBytes))).rejects.toBeInstanceOf(UnauthorizedError);
  });

  it('without key id is checked against every key, as after a rotation', async () => {
    const [older, newer, stranger] = await Promise.all([createKey(), createKey(), createKey()]);
    serve(older, newer);
    expect(await verifier()(await sign(newer, claims()))).toBe('user-1');
    await expect(verifier()(await sign(stranger, claims()))).rejects.toBeInstanceOf(UnauthorizedError);
    await expect(verifier()(await sign(newer, { ...claims(), aud: 'other' }))).rejects.toBeInstanceOf(
      UnauthorizedError,
    );
  });

  it.each(['', 'x', 'a.b.c', '....', `${'a'.repeat(5000)}.b.c`])(
    'of nonsense is refused: %s',
    async (token) => {
      serve(await createKey('k1'));
      await expect(verifier()(token)).rejects.toBeInstanceOf(UnauthorizedError);
    },
  );
});

describe('the published keys', () => {
  it('are fetched once', async () => {
    const key = await createKey('k1');
    serve(key);
    const verify = verifier();
    for (let count = 0; count < 5; count++) await verify(await sign(key, claims()));
    expect(fetches).toBe(1);
  });

  it('are fetched again for an unknown key id, so a rotated-in key is accepted', async () => {
    const [older, newer] = await Promise.all([createKey('k1'), createKey('k2')]);
    serve(older);
    const verify = verifier(0);
    await verify(await sign(older, claims()));
    serve(newer);
    expect(await verify(await sign(newer, claims()))).toBe('user-1');
    await expect(verify(await sign(older, claims()))).rejects.toBeInstanceOf(UnauthorizedError);
  });

  it('are not fetched again and again for made-up key ids', async () => {
    const key = await createKey('k1');
    serve(key);
    const verify = verifier();
    await verify(await sign(key, claims()));
    for (const kid of ['a', 'b', 'c']) {
      await expect(verify(await sign(key, claims(), kid))).rejects.toBeInstanceOf(UnauthorizedError);
    }
    expect(fetches).toBe(1);
  });

  it.each([
    ['answers with an error', { status: 500, body: '{}' }],
    ['answers with no JSON', { status: 200, body: '<html>' }],
    ['answers with no keys', { status: 200, body: '{"keys":1}' }],
  ])('that %s leave the token undecided', async (_what, broken) => {
    answer = broken;
    const token = await sign(await createKey('k1'), claims());
    await expect(verifier()(token)).rejects.toBeInstanceOf(IdentityUnavailableError);
  });

  it('that were fetched before still serve when the issuer is down', async () => {
    const key = await createKey('k1');
    serve(key);
    const verify = verifier(0);
    await verify(await sign(key, claims()));
    answer = { status: 503, body: '' };
    expect(await verify(await sign(key, claims()))).toBe('user-1');
    await expect(verify(await sign(key, claims(), 'unknown'))).rejects.toBeInstanceOf(
      IdentityUnavailableError,
    );
  });

  it('an error names no part of the token', async () => {
    serve(await createKey('k1'));
    const token = await sign(await createKey('k1'), claims());
    await expect(verifier()(token)).rejects.toThrow(/^a valid user token is required$/);
  });
});

import { createRemoteJWKSet, jwtVerify } from 'jose';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startJwksIssuer, type JwksIssuer } from './jwks-issuer.ts';

let issuer: JwksIssuer;
beforeEach(async () => {
  issuer = await startJwksIssuer();
});
afterEach(() => issuer.close());

/** With keys fetched anew, as a process does that has just started. */
const verify = (token: string, path = '/api/v1/auth/jwks') =>
  jwtVerify(token, createRemoteJWKSet(new URL(path, issuer.url)), { issuer: issuer.url, audience: 'mana' });

test('a token is checked by the keys at both addresses of the contract', async () => {
  const token = await issuer.issueToken({ sub: 'alice' });
  for (const path of ['/api/v1/auth/jwks', '/api/auth/jwks']) {
    const { payload, protectedHeader } = await verify(token, path);
    expect(payload.sub).toBe('alice');
    expect(protectedHeader.alg).toBe('EdDSA');
  }
  expect(issuer.requests()).toBe(2);
});

test('an expired token is issued on request', async () => {
  const token = await issuer.issueToken({ sub: 'alice', expiresInSeconds: -60 });
  await expect(verify(token)).rejects.toMatchObject({ code: 'ERR_JWT_EXPIRED' });
});

test('after a rotation new tokens hold, and old ones only if the old keys are kept', async () => {
  const first = await issuer.issueToken({ sub: 'alice' });
  await issuer.rotate({ keepOldKeys: true });
  const second = await issuer.issueToken({ sub: 'alice' });
  await verify(first);
  await verify(second);
  await issuer.rotate();
  await expect(verify(second)).rejects.toMatchObject({ code: 'ERR_JWKS_NO_MATCHING_KEY' });
  await verify(await issuer.issueToken({ sub: 'alice' }));
});

test('a token signed by a key of another’s choice carries our key id and does not hold', async () => {
  const signWith = { alg: 'HS256', key: new TextEncoder().encode('a secret of somebody else, long enough') };
  await expect(verify(await issuer.issueToken({ sub: 'alice', signWith }))).rejects.toThrow();
});

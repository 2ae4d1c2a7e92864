import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose';

/** Stands in for mana-auth's key endpoint: it issues user tokens and serves the keys that check them. */
export interface JwksIssuer {
  /** `MANA_AUTH_URL` and, by default, the `iss` of its tokens. */
  readonly url: string;
  readonly issueToken: (options: TokenOptions) => Promise<string>;
  /** Signs with a new key from now on. The old one is served no longer, unless `keepOldKeys` says so. */
  readonly rotate: (options?: { readonly keepOldKeys?: boolean }) => Promise<void>;
  /** How often the keys were fetched. */
  readonly requests: () => number;
  readonly close: () => Promise<void>;
}

export interface TokenOptions {
  /** User id. */
  readonly sub: string;
  /** `mana` by default. */
  readonly aud?: string;
  /** The issuer's URL by default. */
  readonly iss?: string;
  /** Seconds from now, negative for an expired token; 15 minutes by default. */
  readonly expiresInSeconds?: number;
  /** Another key or algorithm than the served one, for tokens that must be refused. */
  readonly signWith?: { readonly alg: string; readonly key: CryptoKey | Uint8Array };
}

const paths = new Set(['/api/v1/auth/jwks', '/api/auth/jwks']);

interface SigningKey {
  readonly kid: string;
  readonly privateKey: CryptoKey;
  readonly publicJwk: JWK;
}

/** @see docs/platform.md section 9 */
export async function startJwksIssuer(options: { readonly port?: number } = {}): Promise<JwksIssuer> {
  let keys: readonly [SigningKey, ...SigningKey[]] = [await createKey('key-1')];
  let created = 1;
  let requests = 0;
  const server = createServer((request, response) => {
    if (request.method !== 'GET' || !paths.has(request.url ?? '')) {
      response.writeHead(404).end();
      return;
    }
    requests += 1;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ keys: keys.map((key) => key.publicJwk) }));
  });
  const url = `http://127.0.0.1:${await listen(server, options.port ?? 0)}`;
  return {
    url,
    issueToken: (token) => sign(token, url, keys[0]),
    rotate: async ({ keepOldKeys = false } = {}) => {
      created += 1;
      const next = await createKey(`key-${created}`);
      keys = keepOldKeys ? [next, ...keys] : [next];
    },
    requests: () => requests,
    close: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error === undefined ? resolve() : reject(error)));
        server.closeAllConnections();
      }),
  };
}

async function createKey(kid: string): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair('EdDSA', { crv: 'Ed25519' });
  return { kid, privateKey, publicJwk: { ...(await exportJWK(publicKey)), kid, alg: 'EdDSA', use: 'sig' } };
}

async function sign(token: TokenOptions, issuerUrl: string, key: SigningKey): Promise<string> {
  const nowSeconds = Math.floor(Date.now() / 1000);
  return await new SignJWT({})
    .setProtectedHeader({ alg: token.signWith?.alg ?? 'EdDSA', kid: key.kid })
    .setSubject(token.sub)
    .setAudience(token.aud ?? 'mana')
    .setIssuer(token.iss ?? issuerUrl)
    .setIssuedAt(nowSeconds)
    .setExpirationTime(nowSeconds + (token.expiresInSeconds ?? 15 * 60))
    .sign(token.signWith?.key ?? key.privateKey);
}

const listen = (server: Server, port: number): Promise<number> =>
  new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: '127.0.0.1', port }, () => resolve((server.address() as AddressInfo).port));
  });

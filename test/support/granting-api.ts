import type { FastifyInstance, LightMyRequestResponse } from 'fastify';
import { generateKeyPairSync, randomBytes, randomUUID, type KeyObject } from 'node:crypto';
import { expect } from 'vitest';
import { createTestDatabases } from './databases.ts';
import { buildApp, type ApiDependencies } from '#api/app.ts';
import { wrapMasterKey } from '#dev/wrap-master-key.ts';
import { openDatabase, type Database } from '#db/client.ts';
import { startJwksIssuer, type JwksIssuer } from '#dev/jwks-issuer.ts';
import type { Grant } from '#domain/wire/grant.ts';
import { createLogger } from '#logging/logger.ts';

export const GRANT_URL = '/api/v1/me/ai-mission-grant';

export interface Owner {
  readonly userId: string;
  readonly token: string;
}

/** The API against real databases with its production role, without the rest of the system. */
export interface GrantingApi {
  /** Sees every row. */
  readonly admin: { readonly sync: Database; readonly auth: Database };
  readonly issuer: JwksIssuer;
  readonly kek: Buffer;
  readonly rsa: { readonly publicKey: KeyObject; readonly privateKey: KeyObject };
  readonly logLines: string[];
  /** Each is closed by `close`. */
  startApp(changes?: Partial<ApiDependencies>): Promise<FastifyInstance>;
  /** A user with a vault. */
  createOwner(): Promise<Owner>;
  close(): Promise<void>;
}

/** No test here is about limits. */
const UNLIMITED = { perAddress: 1e6, perUser: 1e6, mintsPerUser: 1e6 };

export async function startGrantingApi(): Promise<GrantingApi> {
  const databases = await createTestDatabases();
  const open = (url: string): Database =>
    openDatabase({ url, applicationName: 'granting-api-test', maxConnections: 4 });
  const { superuser, urls } = databases;
  const admin = { sync: open(superuser.syncUrl), auth: open(superuser.authUrl) };
  const api = { sync: open(urls.api.sync), auth: open(urls.api.auth) };
  const issuer = await startJwksIssuer();
  const kek = randomBytes(32);
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const apps: FastifyInstance[] = [];
  const logLines: string[] = [];
  return {
    ...{ admin, issuer, kek, rsa, logLines },
    startApp: async (changes = {}) => {
      const app = await buildApp({
        syncDatabase: api.sync,
        authDatabase: api.auth,
        identity: { jwksUrl: `${issuer.url}/api/v1/auth/jwks`, issuer: issuer.url, audience: 'mana' },
        keks: { default: kek, byId: new Map() },
        grantPublicKey: rsa.publicKey,
        grantMintVersion: 'v2',
        corsOrigins: ['https://app.test'],
        trustedProxies: [],
        logger: createLogger('api', 'debug', { write: (line) => void logLines.push(line) }),
        rateLimits: UNLIMITED,
        ...changes,
      });
      apps.push(app);
      return app;
    },
    createOwner: async () => {
      const userId = `user-${randomUUID()}`;
      const { wrappedMkBase64, wrapIvBase64 } = wrapMasterKey(kek, randomBytes(32));
      await admin.auth.system`insert into auth.users (id) values (${userId})`;
      await admin.auth.system`
        insert into auth.encryption_vaults (user_id, wrapped_mk, wrap_iv)
        values (${userId}, ${wrappedMkBase64}, ${wrapIvBase64})`;
      return { userId, token: await issuer.issueToken({ sub: userId }) };
    },
    close: async () => {
      await Promise.all(apps.map((app) => app.close()));
      await issuer.close();
      await Promise.all([...Object.values(admin), ...Object.values(api)].map((database) => database.close()));
      await databases.drop();
    },
  };
}

export const bearer = (token: string): { authorization: string } => ({ authorization: `Bearer ${token}` });

export async function mint(app: FastifyInstance, token: string, body: object): Promise<Grant> {
  const response = await app.inject({
    method: 'POST',
    url: GRANT_URL,
    headers: bearer(token),
    payload: body,
  });
  expect(response.statusCode, response.body).toBe(200);
  return response.json<Grant>();
}

const urlOf = (missionId: string): string => `${GRANT_URL}/${encodeURIComponent(missionId)}`;

export const revoke = (
  app: FastifyInstance,
  token: string,
  missionId: string,
): Promise<LightMyRequestResponse> =>
  app.inject({ method: 'DELETE', url: urlOf(missionId), headers: bearer(token) });

export const show = (
  app: FastifyInstance,
  token: string,
  missionId: string,
): Promise<LightMyRequestResponse> => app.inject({ url: urlOf(missionId), headers: bearer(token) });

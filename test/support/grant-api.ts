import type { FastifyInstance, LightMyRequestResponse } from 'fastify';
import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { buildApp, type ApiDependencies } from '#api/app.ts';
import { wrapMasterKey } from '#dev/wrap-master-key.ts';
import { openDatabase, type Database } from '#db/client.ts';
import { startJwksIssuer, type JwksIssuer } from '#dev/jwks-issuer.ts';
import type { Grant } from '#domain/wire/grant.ts';
import { createLogger } from '#logging/logger.ts';
import { createTestDatabases, type TestDatabases } from './databases.ts';

export const GRANT_URL = '/api/v1/me/ai-mission-grant';
export const AUDIT_URL = '/api/v1/me/ai-audit';
export const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;

export const kek = randomBytes(32);
export const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
export const request = { missionId: 'mission-1', tables: ['notes'], recordIds: ['notes:n1'] };

export let databases: TestDatabases;
export let admin: { readonly sync: Database; readonly auth: Database };
/** With the login user of production. */
export let api: { readonly sync: Database; readonly auth: Database };
export let issuer: JwksIssuer;
const apps: FastifyInstance[] = [];
export const logLines: string[] = [];

export const open = (url: string): Database =>
  openDatabase({ url, applicationName: 'api-test', maxConnections: 2 });

/** The API in this process, for a test file: databases and pools for all of it, an issuer of tokens for each test. */
export function setUpGrantApi(): void {
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
}

export async function startApp(changes: Partial<ApiDependencies> = {}): Promise<FastifyInstance> {
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

export interface Vault {
  readonly wrappedMkBase64: string | null;
  readonly wrapIvBase64: string | null;
  readonly zeroKnowledge?: boolean;
}
export async function createVault(userId: string, vault: Vault): Promise<void> {
  await admin.auth.system`
    insert into auth.encryption_vaults (user_id, wrapped_mk, wrap_iv, kek_id, zero_knowledge)
    values (${userId}, ${vault.wrappedMkBase64}, ${vault.wrapIvBase64}, 'env-v1', ${vault.zeroKnowledge ?? false})`;
}
export async function createUser(): Promise<string> {
  const userId = `user-${randomUUID()}`;
  await admin.auth.system`insert into auth.users (id) values (${userId})`;
  return userId;
}
/** A user with a vault. */
export async function createOwner(): Promise<{ userId: string; masterKey: Buffer; token: string }> {
  const [userId, masterKey] = [await createUser(), randomBytes(32)];
  await createVault(userId, wrapMasterKey(kek, masterKey));
  return { userId, masterKey, token: await issuer.issueToken({ sub: userId }) };
}

export const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
export const mint = (app: FastifyInstance, token: string, body: object = request) =>
  app.inject({ method: 'POST', url: GRANT_URL, headers: bearer(token), payload: body });
export const grantOf = (response: LightMyRequestResponse): Grant => {
  expect(response.statusCode, response.body).toBe(200);
  return response.json<Grant>();
};

/** Everything that a request could have written. */
export async function countRows(): Promise<Record<string, number>> {
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
export const vaultAudit = (userId: string) =>
  admin.auth.system<{ action: string; status: number; context: string; ip_address: string }[]>`
    select action, status, context, ip_address from auth.encryption_vault_audit where user_id = ${userId}`;

export async function expectRefusal(
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

import { generateKeyPairSync, randomBytes, randomUUID, type KeyObject } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import { buildApp } from '#api/app.ts';
import { openDatabase, type Database } from '#db/client.ts';
import { provisionPlatform, type PlatformDatabases } from '#dev/databases.ts';
import { startJwksIssuer } from '#dev/jwks-issuer.ts';
import { startPostgres } from '#dev/postgres.ts';
import { missionAt, noteAt, openWebApp, type WebApp, type WebAppUser } from '#dev/web-app.ts';
import type { Grant } from '#domain/wire/grant.ts';
import { formatInstant } from '#domain/base/instant.ts';
import { createLogger } from '#logging/logger.ts';

/** Everything but Temporal and the gateway, in one process, on a real PostgreSQL with the production roles. */
export interface BenchSystem {
  readonly api: FastifyInstance;
  /** By role; each a pool of `POOL_SIZE`. */
  readonly databases: Readonly<
    Record<'apiSync' | 'apiAuth' | 'vaultSync' | 'vaultAuth' | 'runner', Database>
  >;
  readonly webApp: WebApp;
  /** Of the two databases, by role. */
  readonly urls: PlatformDatabases['urls'];
  readonly superuserUrl: (database: string) => string;
  readonly kek: Buffer;
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
  tokenOf(user: WebAppUser): Promise<string>;
  close(): Promise<void>;
}

export const POOL_SIZE = 4;

export async function startBenchSystem(): Promise<BenchSystem> {
  const cluster = await startPostgres();
  const system = await openBenchSystem(await provisionPlatform(cluster), (database) =>
    cluster.superuserUrl(database),
  );
  return {
    ...system,
    close: async () => {
      await system.close();
      await cluster.stop();
    },
  };
}

/** A pool for each role. */
export function openPools({ api, vault, runner }: PlatformDatabases['urls']): BenchSystem['databases'] {
  const open = (url: string): Database =>
    openDatabase({ url, applicationName: 'bench', maxConnections: POOL_SIZE });
  return {
    apiSync: open(api.sync),
    apiAuth: open(api.auth),
    vaultSync: open(vault.sync),
    vaultAuth: open(vault.auth),
    runner: open(runner.sync),
  };
}

/** On databases that are there already. */
export async function openBenchSystem(
  { urls, asWebApp }: PlatformDatabases,
  superuserUrl: BenchSystem['superuserUrl'],
): Promise<BenchSystem> {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const kek = randomBytes(32);
  const databases = openPools(urls);
  const issuer = await startJwksIssuer();
  const unlimited = 1_000_000;
  const api = await buildApp({
    syncDatabase: databases.apiSync,
    authDatabase: databases.apiAuth,
    identity: { jwksUrl: `${issuer.url}/api/v1/auth/jwks`, issuer: issuer.url, audience: 'mana' },
    keks: { default: kek, byId: new Map() },
    grantPublicKey: publicKey,
    grantMintVersion: 'v2',
    corsOrigins: [],
    trustedProxies: [],
    // As in production: every request is logged, only the lines go nowhere.
    logger: createLogger('bench', 'info', { write: () => undefined }),
    rateLimits: { perAddress: unlimited, perUser: unlimited, mintsPerUser: unlimited },
  });
  const webApp = openWebApp({ ...asWebApp, kek });
  return {
    api,
    databases,
    webApp,
    urls,
    superuserUrl,
    kek,
    publicKey,
    privateKey,
    tokenOf: ({ userId }) => issuer.issueToken({ sub: userId, expiresInSeconds: 3600 }),
    close: async () => {
      await api.close();
      await Promise.all([webApp.close(), ...Object.values(databases).map((database) => database.close())]);
      await issuer.close();
    },
  };
}

export const grantRequest = (missionId: string, noteIds: readonly string[]) => ({
  missionId,
  tables: ['notes'],
  recordIds: noteIds.map((id) => `notes:${id}`),
  timeZone: 'Europe/Berlin',
});

/** @returns the grant, as the API gave it */
export async function mintByApi(
  api: FastifyInstance,
  token: string,
  payload: ReturnType<typeof grantRequest>,
): Promise<Grant> {
  const response = await api.inject({
    method: 'POST',
    url: '/api/v1/me/ai-mission-grant',
    headers: { authorization: `Bearer ${token}` },
    payload,
  });
  if (response.statusCode !== 200) throw new Error(`mint: found status ${response.statusCode}, expected 200`);
  return response.json();
}

export interface BenchMission {
  readonly user: WebAppUser;
  readonly missionId: string;
  readonly grant: Grant;
  /** What a note of it holds in the change log. */
  readonly encryptedContent: string;
  readonly noteIds: readonly string[];
}

/** A mission on so many encrypted notes, each of so many bytes of text, and its grant. */
export async function writeBenchMission(
  system: Pick<BenchSystem, 'webApp' | 'api' | 'tokenOf'>,
  { records, recordBytes }: { readonly records: number; readonly recordBytes: number },
): Promise<BenchMission> {
  const { webApp, api } = system;
  const user = await webApp.createUser();
  const noteIds = Array.from({ length: records }, () => randomUUID());
  const encryptedContent = user.encrypt('x'.repeat(recordBytes));
  for (const id of noteIds) await webApp.insert(user, noteAt(id), { content: encryptedContent });
  const missionId = randomUUID();
  const grant = await mintByApi(api, await system.tokenOf(user), grantRequest(missionId, noteIds));
  await webApp.insert(user, missionAt(missionId), {
    title: user.encrypt('Bench'),
    objective: user.encrypt('Bench'),
    conceptMarkdown: '',
    state: 'active',
    cadence: { kind: 'manual' },
    nextRunAt: formatInstant(Date.now()),
    inputs: noteIds.map((id) => ({ module: 'notes', table: 'notes', id })),
    iterations: [],
    grant,
  });
  return { user, missionId, grant, encryptedContent, noteIds };
}

import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { wrapMasterKey } from '#dev/wrap-master-key.ts';
import { openDatabase, type Database } from '#db/client.ts';
import { startJwksIssuer, type JwksIssuer } from '#dev/jwks-issuer.ts';
import { toMissionId, toUserId } from '#domain/base/ids.ts';
import { holdMission } from '#test/support/held-lock.ts';
import { createTestDatabases, type TestDatabases } from '#test/support/databases.ts';
import { waitUntil } from '#test/support/wait-until.ts';

const root = join(import.meta.dirname, '../..');
const rsa = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
});
const kek = randomBytes(32);

interface Api {
  readonly child: ChildProcessByStdio<null, Readable, Readable>;
  readonly output: () => string;
  readonly ended: Promise<number | null>;
}

let databases: TestDatabases;
let admin: { readonly sync: Database; readonly auth: Database };
let issuer: JwksIssuer;
const started: Api[] = [];

beforeAll(async () => {
  databases = await createTestDatabases();
  const open = (url: string): Database =>
    openDatabase({ url, applicationName: 'api-process-test', maxConnections: 2 });
  admin = { sync: open(databases.superuser.syncUrl), auth: open(databases.superuser.authUrl) };
});
afterAll(async () => {
  await Promise.all([admin.sync.close(), admin.auth.close()]);
  await databases.drop();
});
beforeEach(async () => {
  issuer = await startJwksIssuer();
});
afterEach(async () => {
  for (const { child, ended } of started.splice(0)) {
    child.kill('SIGKILL');
    await ended;
  }
  await issuer.close();
});

const environment = (): Record<string, string> => ({
  PORT: '0',
  HEALTH_PORT: '0',
  SYNC_DATABASE_URL: databases.urls.api.sync,
  AUTH_DATABASE_URL: databases.urls.api.auth,
  MANA_AUTH_URL: issuer.url,
  MANA_AUTH_KEK: kek.toString('base64'),
  MANA_AI_PUBLIC_KEY_PEM: rsa.publicKey,
  TEMPORAL_CODEC_KEYS: `k1:${randomBytes(32).toString('base64')}`,
});

function startApi(env: Record<string, string>): Api {
  const child = spawn(process.execPath, ['api/server.ts'], {
    cwd: root,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const collect = (chunk: Buffer): void => {
    output += chunk.toString();
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  const ended = once(child, 'close').then(([code]) => code as number | null);
  const api = { child, output: () => output, ended };
  started.push(api);
  return api;
}

const urlOf = ({ output }: Api): Promise<string> =>
  waitUntil('the API listens', () => /http:\/\/127\.0\.0\.1:\d+/.exec(output())?.[0]);

async function createOwner(): Promise<{ userId: string; token: string }> {
  const userId = `user-${randomUUID()}`;
  const { wrappedMkBase64, wrapIvBase64 } = wrapMasterKey(kek, randomBytes(32));
  await admin.auth.system`insert into auth.users (id) values (${userId})`;
  await admin.auth.system`
    insert into auth.encryption_vaults (user_id, wrapped_mk, wrap_iv) values (${userId}, ${wrappedMkBase64}, ${wrapIvBase64})`;
  return { userId, token: await issuer.issueToken({ sub: userId }) };
}

const mint = (url: string, token: string): Promise<Response> =>
  fetch(`${url}/api/v1/me/ai-mission-grant`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ missionId: 'm1', tables: ['notes'], recordIds: ['notes:n1'] }),
  });

/** In this database: other test files have locks of their own in the same server. */
const lockWaitedFor = () =>
  waitUntil('the request waits for the lock', async () => {
    const waiting = await admin.sync.system`
      select 1 from pg_catalog.pg_locks where locktype = 'advisory' and not granted
        and database = (select oid from pg_catalog.pg_database where datname = current_database())`;
    return waiting.length;
  });

describe('the API process', () => {
  it('starts from its environment, mints a grant, and SIGTERM ends it with 0', async () => {
    const api = startApi(environment());
    const url = await urlOf(api);
    expect((await fetch(`${url}/health`)).status).toBe(200);
    const { token } = await createOwner();
    expect((await mint(url, token)).status).toBe(200);
    api.child.kill('SIGTERM');
    expect(await api.ended).toBe(0);
    expect(api.output()).not.toContain('grants are off');
  });

  it('uses at most four connections', async () => {
    const api = startApi(environment());
    const url = await urlOf(api);
    const { token } = await createOwner();
    const responses = await Promise.all(Array.from({ length: 20 }, () => mint(url, token)));
    expect(responses.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200));
    const [row] = await admin.sync.system<{ count: number }[]>`
      select count(*)::int as count from pg_catalog.pg_stat_activity where application_name = 'mana-missions-api'`;
    expect(row?.count).toBeGreaterThan(0);
    expect(row?.count).toBeLessThanOrEqual(4);
  });

  it('lets a request under way finish before it ends', async () => {
    const api = startApi(environment());
    const url = await urlOf(api);
    const { userId: user, token } = await createOwner();
    const userId = toUserId(user);
    const release = Promise.withResolvers<undefined>();
    const isLocked = Promise.withResolvers<undefined>();
    const holding = admin.sync.asUser(userId, async (tx) => {
      await holdMission(tx, toMissionId('m1'));
      isLocked.resolve(undefined);
      await release.promise;
    });
    await isLocked.promise;
    const response = mint(url, token);
    await lockWaitedFor();
    api.child.kill('SIGTERM');
    await waitUntil('the API is stopping', () => api.output().includes('stopping'));
    release.resolve(undefined);
    await holding;
    expect((await response).status).toBe(200);
    expect(await api.ended).toBe(0);
  });

  it('a second signal ends it at once', async () => {
    const api = startApi(environment());
    const url = await urlOf(api);
    const { userId: user, token } = await createOwner();
    const userId = toUserId(user);
    await admin.sync.asUser(userId, async (tx) => {
      await holdMission(tx, toMissionId('m1'));
      const response = mint(url, token).catch(() => null);
      await lockWaitedFor();
      api.child.kill('SIGTERM');
      await waitUntil('the API is stopping', () => api.output().includes('stopping'));
      api.child.kill('SIGTERM');
      expect(await api.ended).toBe(1);
      expect(await response).toBeNull();
    });
  });

  it('without a key for grants it starts, says so once, and answers 503', async () => {
    const api = startApi({ ...environment(), MANA_AI_PUBLIC_KEY_PEM: '' });
    const url = await urlOf(api);
    const { token } = await createOwner();
    for (let count = 0; count < 2; count++) {
      const response = await mint(url, token);
      expect(response.status).toBe(503);
      expect(await response.json()).toMatchObject({ code: 'GRANT_NOT_CONFIGURED' });
    }
    expect(api.output().match(/grants are off/g)).toHaveLength(1);
  });

  it('with a bad environment it ends with one message that names every variable and no value', async () => {
    const secret = 'sup3r-s3cret';
    const api = startApi({
      ...environment(),
      MANA_AUTH_URL: '',
      PORT: secret,
      MANA_AUTH_KEK: secret,
      MANA_AI_PRIVATE_KEY_PEM: rsa.privateKey,
    });
    expect(await api.ended).toBe(1);
    const lines = api.output().trim().split('\n');
    expect(lines[0]).toBe('the configuration of process "api" cannot be used:');
    expect(new Set(lines.slice(1).map((line) => line.trim().split(':')[0]))).toEqual(
      new Set(['PORT', 'MANA_AUTH_KEK', 'MANA_AUTH_URL', 'MANA_AI_PRIVATE_KEY_PEM']),
    );
    expect(api.output()).not.toContain(secret);
    expect(api.output()).not.toContain(rsa.privateKey.slice(40, 60));
  });

  it('a port that is taken ends it with 1', async () => {
    const first = startApi(environment());
    const { port } = new URL(await urlOf(first));
    const second = startApi({ ...environment(), PORT: port });
    expect(await second.ended).toBe(1);
    expect(second.output()).toContain('EADDRINUSE');
  });
});

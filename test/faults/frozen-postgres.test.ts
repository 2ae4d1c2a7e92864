import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { provisionPlatform } from '#dev/databases.ts';
import { startJwksIssuer } from '#dev/jwks-issuer.ts';
import { startPostgres } from '#dev/postgres.ts';
import { missionAt, openWebApp } from '#dev/web-app.ts';
import { freezePostgres } from '#test/support/frozen-postgres.ts';
import { seeingStalls } from '#test/support/machine-stalls.ts';
import { waitUntil } from '#test/support/wait-until.ts';
import { startSystemProcess } from '#test/support/worker-process.ts';

/** What a request may take, with what a busy machine adds. */
const ANSWERED_WITHIN_MS = 14_000;
/** More than the API has connections: the others wait for one. */
const AT_ONCE = 3;

const stops: (() => Promise<unknown>)[] = [];
const started = async <T>(starting: Promise<T>, stop: (it: T) => Promise<unknown>): Promise<T> => {
  const it = await starting;
  stops.unshift(() => stop(it));
  return it;
};
let ask: () => Promise<Answer[]>;
let askFor: (request: string) => Promise<Answer>;
let freeze: () => Promise<() => Promise<void>>;

interface Answer {
  readonly request: string;
  readonly status: number;
  readonly code: unknown;
  readonly ms: number;
}

beforeAll(async () => {
  const cluster = await started(startPostgres(), (it) => it.stop());
  const databases = await provisionPlatform(cluster);
  const issuer = await started(startJwksIssuer(), (it) => it.close());
  const kek = randomBytes(32);
  const api = await started(
    startSystemProcess('api', {
      databases,
      temporal: { address: inject('temporalAddress'), namespace: 'default' },
      keys: {
        kek,
        ...generateKeyPairSync('rsa', { modulusLength: 2048 }),
        codecKeys: { primaryKeyId: 'k1', keys: new Map([['k1', randomBytes(32)]]) },
      },
      gateway: { url: 'http://127.0.0.1:9', serviceKey: 'none' },
      issuerUrl: issuer.url,
      workflowBundlePath: '',
      logDirectory: inject('serverLogDirectory'),
    }),
    (it) => it.stop(),
  );
  const webApp = openWebApp({ ...databases.asWebApp, kek });
  stops.unshift(() => webApp.close());

  const user = await webApp.createUser();
  const missionId = randomUUID();
  await webApp.insert(user, missionAt(missionId), {
    ...{ title: 'Plan', objective: 'Plan the week', state: 'active', inputs: [] },
    cadence: { kind: 'manual' },
  });
  const token = await issuer.issueToken({ sub: user.userId });
  const send = async (request: string): Promise<Answer> => {
    const [method = '', path = ''] = request.split(' ');
    const body = request === MINT ? { missionId, tables: ['notes'], recordIds: ['notes:n1'] } : {};
    const startedAt = performance.now();
    const response = await fetch(`${api.url()}${path.replace(':id', missionId)}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(method === 'GET' ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(60_000),
    });
    const { code } = (await response.json()) as { code?: unknown };
    return { request, status: response.status, code, ms: performance.now() - startedAt };
  };
  askFor = send;
  ask = () => Promise.all(Array.from({ length: AT_ONCE }, () => REQUESTS.map(send)).flat());
  freeze = () => freezePostgres(cluster);
  expect(await askFor(MINT)).toMatchObject({ status: 200 });
});
afterAll(async () => {
  for (const stop of stops) await stop();
});

const MINT = 'POST /api/v1/me/ai-mission-grant';
/** All that asks a database. */
const REQUESTS = [
  MINT,
  'GET /api/v1/me/ai-mission-grant/:id',
  'DELETE /api/v1/me/ai-mission-grant/:id',
  'GET /api/v1/me/ai-audit',
  'GET /api/v1/me/missions/:id/schedule',
  'PUT /api/v1/me/missions/:id/schedule',
  'POST /api/v1/me/missions/:id/run',
  'GET /api/v1/me/missions/:id/runs',
];

it('with a PostgreSQL that stands still every request is told so in time, and all is well when it goes on', async () => {
  const thaw = await freeze();
  try {
    // First on connections that were open, then on new ones, which nobody accepts.
    for (const connections of ['open', 'new']) {
      const { result: answers, stalledMs } = await seeingStalls(ask);
      for (const { request, ...answer } of answers) {
        expect(answer, `${request}, ${connections} connections`).toMatchObject({
          status: 503,
          code: 'DATABASE_UNAVAILABLE',
        });
        expect(answer.ms - stalledMs, request).toBeLessThan(ANSWERED_WITHIN_MS);
      }
    }
    expect(await askFor('GET /health')).toMatchObject({ status: 200 });
    const { result: ready, stalledMs } = await seeingStalls(() => askFor('GET /ready'));
    expect(ready.status).toBe(503);
    expect(ready.ms - stalledMs).toBeLessThan(4_000);
  } finally {
    await thaw();
  }
  await waitUntil('the API mints again', async () => (await askFor(MINT)).status === 200);
  expect(await askFor('GET /ready')).toMatchObject({ status: 200 });
});

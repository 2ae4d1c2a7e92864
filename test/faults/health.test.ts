import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { surroundingsOf } from './surroundings.ts';
import { createTemporaryDirectory } from '#dev/guardian.ts';
import { startTemporalServer } from '#dev/temporal-server.ts';
import { SEARCH_ATTRIBUTE_NAMES } from '#domain/run/search-attributes.ts';
import { startMissionSystem, type MissionSystem } from '#test/support/mission-system.ts';
import { replyOfTwoRounds } from '#test/support/planner-scripts.ts';
import { startRefusingFrontend, type RefusingFrontend } from '#test/support/refusing-frontend.ts';
import { waitUntil } from '#test/support/wait-until.ts';
import {
  environmentOf,
  startSystemProcess,
  type ProcessName,
  type Surroundings,
  type SystemProcess,
} from '#test/support/worker-process.ts';

const root = resolve(import.meta.dirname, '..', '..');

let system: MissionSystem;
let around: Surroundings;
beforeAll(async () => {
  system = await startMissionSystem({ parts: [], script: replyOfTwoRounds });
  around = await surroundingsOf(system);
});
const processes: SystemProcess[] = [];
const frontends: RefusingFrontend[] = [];
const start = async (
  name: ProcessName,
  overrides: Readonly<Record<string, string>> = {},
): Promise<SystemProcess> => {
  const started = await startSystemProcess(name, around, overrides);
  processes.push(started);
  return started;
};
afterEach(async () => {
  await Promise.all(processes.splice(0).map((running) => running.kill9()));
  await Promise.all(frontends.splice(0).map((frontend) => frontend.close()));
});
afterAll(() => system.close());

/** Node's own way to run code in a process that knows nothing of it: a module that is loaded first. */
const loadingFirst = (code: string) => ({
  NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(code)}`,
});
/** The code's own address, which holds all of it, stands in the frames of the error. */
const THROW = `throw new Error(['SEC', 'RET of a user'].join(''));`;
/** Longer than the second after which a stall is logged. */
const BUSY = 'const end = Date.now() + 1800; while (Date.now() < end);';
/** In the main thread alone, on SIGUSR2. */
const onSignal = (code: string) =>
  loadingFirst(
    `import { isMainThread } from 'node:worker_threads'; if (isMainThread) process.on('SIGUSR2', () => { ${code} });`,
  );

const livenessUrl = (running: SystemProcess): string =>
  `http://127.0.0.1:${/"healthPort":(\d+)/.exec(running.output())?.[1] ?? ''}`;

interface Probed {
  readonly status: number;
  readonly body: unknown;
}
async function probe(url: string, withinMs: number): Promise<Probed> {
  const response = await fetch(url, { signal: AbortSignal.timeout(withinMs) });
  return { status: response.status, body: await response.json() };
}
/** The first answer in time: what does not answer at once answers never, but for a machine that pauses. */
const answerOf = (url: string, withinMs: number): Promise<Probed> =>
  waitUntil(`${url} answers within ${withinMs} ms`, () => probe(url, withinMs));

const linesOf = (running: SystemProcess): Record<string, unknown>[] =>
  running
    .output()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

/**
 * The lines that say why a process ends. They need not be its last: the liveness thread writes for itself, and on a machine
 * that is slow to write or to end a process it sees the main thread stand still after its last line.
 */
const endsOf = (running: SystemProcess): Record<string, unknown>[] =>
  linesOf(running).filter(({ level }) => level === 60);

describe.each(['api', 'runner', 'vault', 'projection'] as const)('process %s', (name) => {
  it('is alive and ready', async () => {
    // Of the service before.
    const running = await start(name, { TICK_INTERVAL_MS: '4242424242' });
    const url = livenessUrl(running);
    expect(await answerOf(`${url}/health`, 1_000)).toMatchObject({
      status: 200,
      body: { ok: true, status: 'ok', version: expect.any(String) as string, tick: { enabled: true } },
    });
    const said = linesOf(running).filter(({ msg }) =>
      String(msg).startsWith('TICK_INTERVAL_MS is a variable'),
    );
    expect(said).toEqual([expect.objectContaining({ level: 40 })]);
    expect(running.output()).not.toContain('4242424242');
    await waitUntil('it is ready', async () => {
      const ready = await probe(`${url}/ready`, 5_000);
      return ready.status === 200 ? ready : Promise.reject(new Error(JSON.stringify(ready)));
    });
  });

  it('whose event loop stands still answers within a second, is unhealthy after five and says so', async () => {
    const running = await start(name, onSignal('for (;;);'));
    const url = livenessUrl(running);
    process.kill(running.pid, 'SIGUSR2');
    expect((await answerOf(`${url}/health`, 1_000)).status).toBe(200);
    await waitUntil('it is unhealthy', async () => (await probe(`${url}/health`, 1_000)).status === 503);
    expect((await answerOf(`${url}/health`, 1_000)).body).toMatchObject({ ok: false, status: 'stalled' });
    expect((await answerOf(`${url}/ready`, 6_000)).status).toBe(503);
    expect(linesOf(running).map(({ msg }) => msg)).toContain('the event loop stands still');
  });

  it.each([
    ['', ''],
    [' and the process is slow to end', `process.on('exit', () => { ${BUSY} });`],
  ])('ends with 1 and one line without values when nobody catches an error%s', async (_how, first) => {
    const running = await start(name, onSignal(`${first} setTimeout(() => { ${THROW} })`));
    process.kill(running.pid, 'SIGUSR2');
    expect(await running.exited).toEqual({ code: 1, signal: null });
    expect(endsOf(running)).toEqual([
      expect.objectContaining({
        msg: 'an error that nobody caught ends the process',
        err: { type: 'Error', at: expect.any(Array) as unknown },
      }),
    ]);
    expect(running.output()).not.toContain('SECRET');
  });
});

it('a process whose event loop does not come back ends itself', async () => {
  const running = await start('vault', onSignal('for (;;);'));
  process.kill(running.pid, 'SIGUSR2');
  expect(await running.exited).toEqual({ code: null, signal: 'SIGKILL' });
  expect(endsOf(running)).toEqual([
    expect.objectContaining({ msg: 'the event loop does not come back; the process ends' }),
  ]);
});

it('a stall of more than a second is logged and counted when it is over', async () => {
  const running = await start('projection', onSignal(BUSY));
  const stalls = () => linesOf(running).filter(({ msg }) => msg === 'the event loop stood still');
  // Another process may have died with that activity; this one is handed it when the server has noticed.
  const line = await waitUntil('one is logged while the log is followed', async () => {
    const before = stalls().length;
    process.kill(running.pid, 'SIGUSR2');
    const stall = await waitUntil('it is logged', () => stalls()[before]);
    return String(stall['underWay']).includes('followChangeLog') ? stall : null;
  });
  expect(line['stalledMs']).toBeGreaterThan(1_000);
  const metrics = await (await fetch(`${livenessUrl(running)}/metrics`)).text();
  expect(metrics).toMatch(/^mana_event_loop_stalls_total [1-9]/m);
});

describe('a worker that the SDK declares failed', () => {
  const startRefused = async (name: ProcessName) => {
    const frontend = await startRefusingFrontend(around.temporal.address);
    frontends.push(frontend);
    const running = await start(name, { TEMPORAL_ADDRESS: frontend.address });
    frontend.refusePolls();
    return running;
  };

  it('ends the all-in-one process, whose other workers it would leave alone', async () => {
    // Polls under way end as they would, in a minute; Core tries refused ones again for another.
    const running = await startRefused('all');
    expect(await running.exited).toEqual({ code: 1, signal: null });
    expect(endsOf(running)).toEqual([expect.objectContaining({ msg: 'the worker ended' })]);
  });
});

describe('readiness', () => {
  it.each(['runner', 'vault'] as const)('of a %s with its keys is ok but for what it lacks', async (name) => {
    const running = await start(name);
    const url = livenessUrl(running);
    const ready = await waitUntil('it is ready', async () => {
      const { status, body } = await probe(`${url}/ready`, 5_000);
      return status === 200 ? body : null;
    });
    const checks = {
      runner: ['codecKeys', 'database', 'planning', 'polls'],
      vault: ['authDatabase', 'codecKeys', 'keys', 'polls', 'syncDatabase'],
    };
    expect(Object.keys((ready as { checks: object }).checks).sort()).toEqual(checks[name]);
  });

  it('of a worker whose Temporal server is stopped is not, while the process is healthy', async () => {
    const directory = createTemporaryDirectory('mana-health-');
    const temporal = await startTemporalServer({
      ui: false,
      logFile: join(directory.path, 'temporal.log'),
      searchAttributes: Object.values(SEARCH_ATTRIBUTE_NAMES),
    });
    try {
      const running = await start('runner', {
        TEMPORAL_ADDRESS: temporal.address,
        TEMPORAL_NAMESPACE: 'default',
      });
      const url = livenessUrl(running);
      await waitUntil('it is ready', async () => (await probe(`${url}/ready`, 5_000)).status === 200);
      await temporal.stop();
      // On a busy machine the database's answer may be late, too; then the next probe has it.
      const checks = await waitUntil('only Temporal is missing', async () => {
        const { status, body } = await probe(`${url}/ready`, 5_000);
        expect(status).toBe(503);
        const found = (body as { checks: Record<string, string> }).checks;
        return found['database'] === 'ok' ? found : null;
      });
      expect(checks).toMatchObject({ polls: 'no answer' });
      expect((await answerOf(`${url}/health`, 5_000)).status).toBe(200);
      expect(running.isRunning()).toBe(true);
    } finally {
      await temporal.stop();
      directory.remove();
    }
  });

  const checksOf = async (running: SystemProcess): Promise<unknown> => {
    const { status, body } = await answerOf(`${livenessUrl(running)}/ready`, 5_000);
    expect(status).toBe(503);
    return (body as { checks: unknown }).checks;
  };
  it('a runner with a superuser, to whom row-level security does not apply, is not ready', async () => {
    const running = await start('runner', { SYNC_DATABASE_URL: around.databases.superuser.syncUrl });
    expect(await checksOf(running)).toMatchObject({
      database: 'row-level security does not apply to this user',
    });
  });

  it("a vault with the runner's user is not ready", async () => {
    const running = await start('vault', { SYNC_DATABASE_URL: around.databases.urls.runner.sync });
    expect(await checksOf(running)).toMatchObject({
      syncDatabase: 'user is not a member of mana_missions_vault',
    });
  });

  it('a vault without a key is not ready', async () => {
    const running = await start('vault', { MANA_AUTH_KEK: '' });
    expect(await checksOf(running)).toMatchObject({ keys: 'no key is set' });
  });

  it('a process whose database has no schema is not ready', async () => {
    const url = new URL(around.databases.urls.api.sync);
    url.pathname = '/postgres';
    const running = await start('api', { SYNC_DATABASE_URL: url.href });
    // The first connection may take longer than a probe waits.
    await waitUntil('it says so', async () => {
      const checks = (await checksOf(running)) as Record<string, string>;
      return checks['syncDatabase'] === 'schema missing';
    });
  });
});

describe("an operator's command", () => {
  it.each([
    ['migrate', { MIGRATE_DATABASE_URL: 'postgres://x:y@192.0.2.1:9/none' }],
    ['audit verify', { MAINTENANCE_DATABASE_URL: 'postgres://x:y@192.0.2.1:9/none' }],
    ['setup', { TEMPORAL_ADDRESS: '192.0.2.1:9' }],
    ['reconcile', { TEMPORAL_ADDRESS: '192.0.2.1:9' }],
  ])('%s ends with 1 and one line without values when nobody catches an error', async (verb, env) => {
    const failing = loadingFirst(
      `setInterval(() => { if (process.listenerCount('uncaughtException') > 0) ${THROW} }, 1)`,
    );
    const { TEMPORAL_CODEC_KEYS = '' } = environmentOf('api', around);
    const child = spawn(process.execPath, ['commands/missions.ts', ...verb.split(' ')], {
      cwd: root,
      env: { PATH: process.env['PATH'], TEMPORAL_CODEC_KEYS, ...env, ...failing },
    });
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    expect(await once(child, 'close')).toEqual([1, null]);
    expect(stderr).not.toContain('SECRET');
    const lines = stderr.trim().split('\n');
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      msg: 'an error that nobody caught ends the process',
      err: { type: 'Error' },
    });
  });
});

import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { waitUntil } from '#test/support/wait-until.ts';
import { freePort } from './free-port.ts';
import { spawnProcess, waitForHealth } from './processes.ts';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'mana-processes-test-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const start = (script: string, env: Record<string, string> = {}) =>
  spawnProcess({
    name: 'the program',
    command: process.execPath,
    args: ['--eval', script],
    env,
    logFile: join(directory, 'log'),
  });

/** Where nobody collects them, ended processes stay as zombies. */
const isRunning = (pid: number): boolean => {
  const state = spawnSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' }).stdout.trim();
  return state !== '' && !state.startsWith('Z');
};

test('a process gets the environment it was given and only PATH, HOME and TMPDIR of ours', async () => {
  process.env['MANA_TEST_SECRET'] = 'ours';
  const started = await start('console.log(JSON.stringify(process.env))', { GIVEN: 'yes' });
  expect(await started.exited).toEqual({ code: 0, signal: null });
  delete process.env['MANA_TEST_SECRET'];
  const seen = JSON.parse(readFileSync(join(directory, 'log'), 'utf8')) as Record<string, string>;
  expect(seen).toMatchObject({ GIVEN: 'yes', PATH: process.env['PATH'] });
  expect(Object.keys(seen)).not.toContain('MANA_TEST_SECRET');
});

test('a process that ignores the request to stop is killed after the grace time', async () => {
  const started = await start(
    `process.on('SIGTERM', () => 0); setInterval(() => 0, 1000); console.log('deaf')`,
  );
  await waitUntil('the program listens', () => readFileSync(join(directory, 'log'), 'utf8').includes('deaf'));
  expect(await started.stop(50)).toEqual({ code: null, signal: 'SIGKILL' });
});

test('waiting for health ends at once, with the end of the log, when the process exits', async () => {
  const started = await start(`console.error('no database'); process.exit(3)`);
  const url = `http://127.0.0.1:${await freePort()}/health`;
  await expect(waitForHealth(url, 20_000, started)).rejects.toThrow(
    /ended before it was ready:\nno database/,
  );
});

test('a program that does not exist is an error that names it', async () => {
  const missing = { name: 'the program', command: '/no/such/program', args: [], env: {}, logFile: null };
  await expect(spawnProcess(missing)).rejects.toThrow('the program cannot be started');
});

test('kill -9 of the parent leaves neither its processes nor its directories', async () => {
  const parent = spawn(
    process.execPath,
    [
      '--input-type=module',
      '--eval',
      `import { createTemporaryDirectory } from '${import.meta.dirname}/guardian.ts';
       import { spawnProcess } from '${import.meta.dirname}/processes.ts';
       const { path } = createTemporaryDirectory('mana-processes-test-');
       const { pid } = await spawnProcess({ name: 'sleep', command: 'sleep', args: ['600'], env: {}, logFile: path + '/log' });
       console.log(JSON.stringify({ path, pid }));
       setInterval(() => 0, 1000);`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const line = await new Promise<string>((resolve) =>
    parent.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString())),
  );
  const { path, pid } = JSON.parse(line) as { path: string; pid: number };
  expect([existsSync(path), isRunning(pid)]).toEqual([true, true]);
  parent.kill('SIGKILL');
  await waitUntil('the directory is gone', () => !existsSync(path));
  expect(isRunning(pid)).toBe(false);
});

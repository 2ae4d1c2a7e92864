import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '#dev/free-port.ts';
import { createTemporaryDirectory } from '#dev/guardian.ts';
import { logTail, spawnProcess, waitUntilReady, type ManagedProcess } from '#dev/processes.ts';

const root = resolve(import.meta.dirname, '../..');
const serviceKey = randomBytes(16).toString('hex');
const MODEL = 'somebody/elses-model';

const directory = createTemporaryDirectory('mana-demo-gateway-');
const requestsFile = join(directory.path, 'requests.jsonl');
let gateway: ManagedProcess;
let url = '';

/** `bin/demo` with these variables, to its end. */
async function runDemo(env: Readonly<Record<string, string>>, ...args: string[]) {
  const logFile = join(directory.path, `demo-${randomBytes(4).toString('hex')}.log`);
  const cli = process.env['TEMPORAL_CLI'];
  const demo = await spawnProcess({
    ...{ name: 'the demo', command: process.execPath, args: ['scripts/demo.ts', ...args], cwd: root },
    env: { ...(cli === undefined ? {} : { TEMPORAL_CLI: cli }), ...env },
    logFile,
  });
  const { code } = await demo.exited;
  return { code, output: readFileSync(logFile, 'utf8').trimEnd() };
}

beforeAll(async () => {
  const port = await freePort();
  const logFile = join(directory.path, 'gateway.log');
  gateway = await spawnProcess({
    ...{ name: 'a gateway', command: process.execPath, args: ['dev/scripted-gateway-process.ts'], cwd: root },
    env: { SERVICE_KEY: serviceKey, PORT: String(port), LOG_FILE: requestsFile },
    logFile,
  });
  await waitUntilReady(gateway, () => Promise.resolve(logTail(logFile).includes('listening')), 60_000);
  url = `http://127.0.0.1:${port}`;
});
afterAll(async () => {
  await gateway.stop();
  directory.remove();
});

const variables = () => ({ MANA_LLM_URL: url, MANA_SERVICE_KEY: serviceKey, MANA_LLM_MODEL: MODEL });

describe('bin/demo with a gateway that runs already', () => {
  it('plans with it and its model, and searches for leaks as ever', async () => {
    const { code, output } = await runDemo(variables());
    expect(code, output).toBe(0);
    const report = JSON.parse(output.split('\n').at(-1) ?? '') as Record<string, unknown>;
    expect(report).toMatchObject({ ok: true, missions: 3, iterations: 3, leaks: 0, model: MODEL });
    const requests = readFileSync(requestsFile, 'utf8').trimEnd().split('\n');
    // The first one was the word before anything was started.
    expect(requests).toHaveLength(Number(report['llmCalls']) + 1);
    expect(requests.every((request) => request.includes(`"model":"${MODEL}"`))).toBe(true);
    expect(output).not.toContain(serviceKey);
  });

  it('says at once what is wrong with an address, a key or a variable, and starts nothing', async () => {
    const nobody = `http://127.0.0.1:${await freePort()}`;
    const wrong: [Readonly<Record<string, string>>, RegExp, ...string[]][] = [
      [{ ...variables(), MANA_LLM_URL: nobody }, /MANA_LLM_URL\): nobody answers there/],
      [
        { ...variables(), MANA_SERVICE_KEY: 'another' },
        /refused the key \(status 401\); check MANA_SERVICE_KEY/,
      ],
      [{ MANA_LLM_URL: 'somewhere' }, /MANA_LLM_URL: cannot be used[^]*MANA_SERVICE_KEY: is not set/],
      [variables(), /--tour tells what scripted models do/, '--tour'],
    ];
    for (const [env, says, ...args] of wrong) {
      const { code, output } = await runDemo(env, ...args);
      expect(code).toBe(1);
      expect(output).toMatch(says);
      expect(output).not.toContain('PostgreSQL');
      expect(output).not.toContain(serviceKey);
    }
  });
});

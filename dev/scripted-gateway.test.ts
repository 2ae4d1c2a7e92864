import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import {
  demoPlanner,
  hang,
  replyWithText,
  reset,
  startScriptedGateway,
  type ScriptedGateway,
} from './scripted-gateway.ts';

const SERVICE_KEY = 'k';
const ask = (
  url: string,
  headers: Record<string, string> = { 'x-api-key': SERVICE_KEY },
): Promise<Response> =>
  fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': 'once', ...headers },
    body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'geheim' }], tools: [] }),
  });

async function withGateway(
  script: Parameters<typeof startScriptedGateway>[0]['script'],
  use: (gateway: ScriptedGateway) => Promise<void>,
): Promise<void> {
  const gateway = await startScriptedGateway({ serviceKey: SERVICE_KEY, script });
  try {
    await use(gateway);
  } finally {
    await gateway.close();
  }
}

test('a list is answered in order, and fails loudly when it runs dry', () =>
  withGateway([replyWithText('eins')], async (gateway) => {
    expect(await (await ask(gateway.url)).json()).toMatchObject({
      choices: [{ message: { content: 'eins' } }],
    });
    gateway.assertNotExhausted();
    expect(gateway.assertExhausted).toThrow('did not run dry');
    const dry = await ask(gateway.url);
    expect(dry.status).toBe(500);
    await dry.text();
    gateway.assertExhausted();
    expect(gateway.assertNotExhausted).toThrow('ran dry; requests so far: 2');
  }));

test('a script that throws counts as dry', () =>
  withGateway(
    () => {
      throw new Error('no answer for this');
    },
    async (gateway) => {
      expect((await ask(gateway.url)).status).toBe(500);
      expect(gateway.exhausted).toBe(true);
    },
  ));

test('a Bearer token alone gets 401 and is not recorded', () =>
  withGateway([], async (gateway) => {
    expect((await ask(gateway.url, { authorization: `Bearer ${SERVICE_KEY}` })).status).toBe(401);
    expect((await ask(gateway.url, { 'x-api-key': 'wrong' })).status).toBe(401);
    expect([gateway.requests.length, gateway.refusedCount, gateway.exhausted]).toEqual([0, 2, false]);
  }));

test('a reset breaks the connection in the middle of the body', () =>
  withGateway([reset()], async (gateway) => {
    const response = await ask(gateway.url);
    await expect(response.text()).rejects.toThrow();
  }));

test('close ends requests that hang', () =>
  withGateway([hang()], async (gateway) => {
    const pending = ask(gateway.url).catch(() => 'broken');
    await gateway.waitForHanging(1);
    await gateway.close();
    expect(await pending).toBe('broken');
    expect(gateway.hangingCount).toBe(0);
  }));

test('the demo planner proposes once, then closes, and repeats nothing it was told', () => {
  const tools = [{ function: { name: 'create_task' } }];
  const request = (messages: { role: string; content?: string }[]) => ({
    headerNames: [],
    idempotencyKey: null,
    bodyText: '',
    body: { model: 'm', messages, tools },
  });
  const first = JSON.stringify(demoPlanner(request([{ role: 'user', content: 'Zahnarzt' }])));
  expect(first).toContain('create_task');
  expect(first).not.toContain('Zahnarzt');
  const second = JSON.stringify(demoPlanner(request([{ role: 'user' }, { role: 'tool' }])));
  expect(second).not.toContain('create_task');
});

test('as a process it says where it listens, logs each request and ends with 0 on SIGTERM', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'scripted-gateway-'));
  const logFile = join(directory, 'gateway.jsonl');
  const child = spawn(
    process.execPath,
    [fileURLToPath(new URL('scripted-gateway-process.ts', import.meta.url))],
    { env: { SERVICE_KEY, LOG_FILE: logFile }, stdio: ['ignore', 'pipe', 'inherit'] },
  );
  try {
    const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
    const port = /^listening (\d+)$/.exec(line)?.[1];
    expect((await ask(`http://127.0.0.1:${port ?? ''}`)).status).toBe(200);
    expect(JSON.parse(readFileSync(logFile, 'utf8'))).toMatchObject({
      request: 1,
      idempotencyKey: 'once',
      body: { messages: [{ content: 'geheim' }] },
    });
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    expect(await exited).toEqual([0, null]);
  } finally {
    child.kill('SIGKILL');
    rmSync(directory, { recursive: true });
  }
});

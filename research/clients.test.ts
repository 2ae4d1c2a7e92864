import { afterEach, describe, expect, test } from 'vitest';
import { createDeepResearch, type DeepResearch } from './deep.ts';
import { createShallowResearch, type ShallowResearch } from './shallow.ts';
import {
  articles,
  completed,
  feeds,
  startScriptedResearch,
  submitted,
  taskState,
  type ResearchScript,
  type ScriptedResearch,
} from '#dev/scripted-research.ts';
import { hang, httpReply, reset, type ScriptedResponse } from '#dev/scripted-responses.ts';
import { ResearchUnavailableError } from '#domain/base/errors.ts';

const KEY = 'key-of-the-research-test';
const SERVICE_TEXT = 'SERVICE-ECHOES-THE-QUERY';
const noSignal = new AbortController().signal;

const running: ScriptedResearch[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.close()));
});

interface Clients {
  readonly server: ScriptedResearch;
  readonly shallow: ShallowResearch;
  readonly deep: DeepResearch;
}

async function scripted(script: ResearchScript, timeoutMs = 5_000): Promise<Clients> {
  const server = await startScriptedResearch({ serviceKey: KEY, script });
  running.push(server);
  const baseUrl = `${server.url}/`;
  return {
    server,
    shallow: createShallowResearch({ baseUrl, timeoutMs }),
    deep: createDeepResearch({ baseUrl, serviceKey: KEY, timeoutMs }),
  };
}

const search = ({ shallow }: Clients, signal = noSignal) =>
  shallow.search({ query: 'Balkonpflanzen', language: 'de' }, signal);
const submit = ({ deep }: Clients, signal = noSignal) =>
  deep.submit({ query: 'Wärmepumpen', userId: 'user-1', idempotencyKey: 'iteration-1' }, signal);
const state = ({ deep }: Clients) => deep.state({ taskId: 'task-7', userId: 'user-1' }, noSignal);

const article = { url: 'https://a.example/1', title: 'A', excerpt: 'Eins.' };
const alwaysOk: ResearchScript = ({ route }) =>
  route === 'discover' ? feeds('https://a.example/feed') : articles(article);

describe('shallow research', () => {
  test('finds feeds, then articles in them; neither key nor user goes with it', async () => {
    const clients = await scripted(alwaysOk);
    expect(await search(clients)).toEqual({
      articles: [{ ...article, publishedAt: '2026-05-04T06:00:00.000Z' }],
    });
    const [discover, found] = clients.server.requests;
    expect(discover?.body).toEqual({ query: 'Balkonpflanzen', language: 'de', limit: 8 });
    expect(found?.body).toEqual({ feeds: ['https://a.example/feed'], query: 'Balkonpflanzen', limit: 12 });
    for (const { headers } of clients.server.requests)
      expect(Object.keys(headers).filter((name) => /key|user-id|auth|cookie/.test(name))).toEqual([]);
  });

  test('without feeds is over at once', async () => {
    const clients = await scripted(() => feeds());
    expect(await search(clients)).toEqual({ articles: [] });
    expect(clients.server.requests).toHaveLength(1);
  });

  test('takes what is readable, and only addresses of the web', async () => {
    const clients = await scripted(({ route }) =>
      route === 'discover'
        ? httpReply(200, { feeds: [7, { url: 'javascript:alert(1)' }, { url: 'http://a.example/f' }] })
        : httpReply(200, {
            articles: [null, { url: 'file:///etc' }, { url: 'https://a.example', title: 3 }],
          }),
    );
    expect(await search(clients)).toEqual({
      articles: [{ url: 'https://a.example', title: '', excerpt: '', publishedAt: '' }],
    });
    expect(clients.server.asked('search')[0]?.body).toMatchObject({ feeds: ['http://a.example/f'] });
  });

  test.each([400, 401, 404, 422, 307])(
    'that the service refuses with %i is not worth another try',
    async (status) => {
      const clients = await scripted(() =>
        httpReply(status, { error: SERVICE_TEXT }, { location: 'http://127.0.0.1:1' }),
      );
      expect(await search(clients)).toEqual({ refusedWith: status });
      expect(clients.server.requests).toHaveLength(1);
    },
  );

  test.each<[string, () => ScriptedResponse]>([
    ['503', () => httpReply(503, { error: SERVICE_TEXT })],
    ['a broken connection', reset],
    ['silence', hang],
    ['an answer that is none', () => httpReply(200, { text: SERVICE_TEXT })],
  ])('that ends with %s may be tried again, and no text of the service is kept', async (_, answer) => {
    const error: unknown = await search(await scripted(answer, 100)).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ResearchUnavailableError);
    const { message, stack, cause } = error as Error;
    expect(JSON.stringify([message, stack, cause, error])).not.toContain(SERVICE_TEXT);
  });

  test('that is cancelled ends its request with the reason of the signal', async () => {
    const controller = new AbortController();
    const reason = new Error('cancelled');
    const clients = await scripted(() => {
      controller.abort(reason);
      return hang();
    });
    await expect(search(clients, controller.signal)).rejects.toBe(reason);
  });
});

describe('submitting a deep task', () => {
  test('sends key, user, app and idempotency key, and brings the task id', async () => {
    const clients = await scripted(() => submitted('task-7'));
    expect(await submit(clients)).toEqual({ kind: 'submitted', taskId: 'task-7' });
    const [request] = clients.server.requests;
    expect(request?.body).toEqual({ query: 'Wärmepumpen', provider: 'gemini-deep-research-max' });
    expect(request?.headers).toMatchObject({
      ...{ 'x-service-key': KEY, 'x-user-id': 'user-1', 'x-app-id': 'ai' },
      'idempotency-key': 'iteration-1',
    });
  });

  test.each<[string, () => ScriptedResponse, string]>([
    ['429', () => httpReply(429, {}, { 'retry-after': '7' }), 'not-submitted'],
    ['503', () => httpReply(503, {}), 'not-submitted'],
    ['402', () => httpReply(402, {}), 'refused'],
    ['307', () => httpReply(307, {}, { location: 'http://127.0.0.1:1' }), 'refused'],
    // The task may have been made before the error.
    ['500', () => httpReply(500, {}), 'unknown'],
    ['502', () => httpReply(502, {}), 'unknown'],
    ['504', () => httpReply(504, {}), 'unknown'],
    ['599', () => httpReply(599, {}), 'unknown'],
    ['408', () => httpReply(408, {}), 'unknown'],
    ['a broken connection', reset, 'unknown'],
    ['silence', hang, 'unknown'],
    ['an answer without a task', () => httpReply(200, { status: 'queued' }), 'unknown'],
    ['a task that is a path', () => submitted('../../admin'), 'unknown'],
  ])('%s', async (_, answer, kind) => {
    // Only silence has to be waited for.
    expect(await submit(await scripted(answer, answer === hang ? 100 : undefined))).toMatchObject({ kind });
  });

  test('Retry-After comes with it', async () => {
    const clients = await scripted(() => httpReply(429, {}, { 'retry-after': '7' }));
    expect(await submit(clients)).toMatchObject({ refusal: { status: 429, retryAfterMs: 7_000 } });
  });

  test('a service that nobody runs got nothing', async () => {
    const clients = await scripted(() => submitted('task-7'));
    await clients.server.close();
    expect(await submit(clients)).toEqual({ kind: 'not-submitted', refusal: null });
  });
});

describe('the state of a deep task', () => {
  test.each<[string, () => ScriptedResponse, string]>([
    ['queued', () => taskState('queued'), 'pending'],
    ['running', () => taskState('running'), 'pending'],
    ['failed', () => taskState('failed', { error: SERVICE_TEXT }), 'failed'],
    ['cancelled', () => taskState('cancelled'), 'failed'],
    ['unknown to the service', () => httpReply(404, {}), 'failed'],
    ['completed without an answer', () => taskState('completed', { result: null }), 'failed'],
    ['completed with an empty answer', () => completed('  '), 'failed'],
  ])('%s', async (_, answer, kind) => {
    expect(await state(await scripted(answer))).toEqual({ kind });
  });

  test.each([401, 403])('is not known where no key of ours is accepted (%i)', async (status) => {
    expect(await state(await scripted(() => httpReply(status, {})))).toEqual({ kind: 'denied', status });
  });

  test('completed brings the answer and what it cites', async () => {
    const cited = { url: 'https://a.example', title: 'A', snippet: 'Beleg.' };
    const clients = await scripted(() => completed('Bericht.', [cited, { url: 'data:x', title: 'B' }]));
    expect(await state(clients)).toEqual({
      kind: 'completed',
      answer: { answer: 'Bericht.', citations: [cited] },
    });
    expect(clients.server.requests[0]).toMatchObject({
      taskId: 'task-7',
      headers: { 'x-user-id': 'user-1' },
    });
  });

  test.each<[string, () => ScriptedResponse]>([
    ['502', () => httpReply(502, {})],
    ['429', () => httpReply(429, {})],
    ['a broken connection', reset],
    ['an answer that is none', () => httpReply(200, { status: 'thinking' })],
  ])('stays open after %s', async (_, answer) => {
    await expect(state(await scripted(answer))).rejects.toBeInstanceOf(ResearchUnavailableError);
  });
});

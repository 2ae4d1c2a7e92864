import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { httpReply, sendScripted, type ScriptedResponse } from './scripted-responses.ts';

/** The four routes of docs/platform.md section 11. */
export type ResearchRoute = 'discover' | 'search' | 'submit' | 'state';

/** One request as a research service got it. */
export interface ResearchRequest {
  readonly route: ResearchRoute;
  readonly headers: Readonly<Record<string, string>>;
  /** Undefined for `state`. */
  readonly body: unknown;
  /** Of `state`, else null. */
  readonly taskId: string | null;
}

type Scripted = ScriptedResponse | Promise<ScriptedResponse>;
export type ResearchScript = (request: ResearchRequest, index: number) => Scripted;

export interface ScriptedResearch {
  /** What `MANA_API_URL` and `MANA_RESEARCH_URL` would be. */
  readonly url: string;
  /** In the order of their arrival. */
  readonly requests: readonly ResearchRequest[];
  /** Requests of one route. */
  readonly asked: (route: ResearchRoute) => ResearchRequest[];
  /** Ends the server and all its connections; a second call does nothing. */
  readonly close: () => Promise<void>;
}

/**
 * The scripted research services of tests and demo on 127.0.0.1, news-research and mana-research in one. Deep research
 * without the service key gets 401, as from the real one.
 */
export async function startScriptedResearch(options: {
  readonly serviceKey: string;
  /** `demoResearch()` by default. */
  readonly script?: ResearchScript;
}): Promise<ScriptedResearch> {
  const { serviceKey, script = demoResearch() } = options;
  const requests: ResearchRequest[] = [];
  const handle = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const request = requestOf(incoming, await text(incoming));
    if (request === null) return sendScripted(response, httpReply(404, { error: 'not found' }));
    const needsKey = request.route === 'submit' || request.route === 'state';
    if (needsKey && request.headers['x-service-key'] !== serviceKey)
      return sendScripted(response, httpReply(401, { error: 'unauthorized' }));
    const index = requests.push(request) - 1;
    await sendScripted(response, await script(request, index));
  };
  const server = createServer((incoming, response) => {
    // A client that goes away in the middle of its request is no fault of the test.
    handle(incoming, response).catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    asked: (route) => requests.filter((request) => request.route === route),
    close: async () => {
      if (!server.listening) return;
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

const ROUTES: readonly (readonly [method: string, path: RegExp, route: ResearchRoute])[] = [
  ['POST', /^\/api\/v1\/news-research\/discover$/, 'discover'],
  ['POST', /^\/api\/v1\/news-research\/search$/, 'search'],
  ['POST', /^\/api\/v1\/internal\/research\/async$/, 'submit'],
  ['GET', /^\/api\/v1\/internal\/research\/async\/([^/]+)$/, 'state'],
];

function requestOf(incoming: IncomingMessage, bodyText: string): ResearchRequest | null {
  for (const [method, path, route] of ROUTES) {
    const found = incoming.method === method ? path.exec(incoming.url ?? '') : null;
    if (found === null) continue;
    const headers = Object.fromEntries(
      Object.entries(incoming.headers).flatMap(([name, value]) =>
        typeof value === 'string' ? [[name, value]] : [],
      ),
    );
    const body: unknown = bodyText === '' ? undefined : JSON.parse(bodyText);
    return { route, headers, body, taskId: found[1] ?? null };
  }
  return null;
}

export const feeds = (...urls: readonly string[]): ScriptedResponse =>
  httpReply(200, { feeds: urls.map((url) => ({ url, title: 'Feed', description: '' })) });

export const articles = (
  ...found: readonly { readonly url: string; readonly title: string; readonly excerpt: string }[]
): ScriptedResponse =>
  httpReply(200, {
    articles: found.map((article, index) => ({
      ...article,
      publishedAt: '2026-05-04T06:00:00.000Z',
      feedUrl: 'https://news.example/feed.xml',
      score: 1 - index / 10,
    })),
  });

export const submitted = (taskId: string): ScriptedResponse =>
  httpReply(200, { taskId, status: 'queued', providerId: 'gemini-deep-research-max', costCredits: 50 });

export const taskState = (
  status: 'queued' | 'running' | 'completed' | 'failed' | 'cancelled',
  more: Readonly<Record<string, unknown>> = {},
): ScriptedResponse =>
  httpReply(200, { taskId: 'task', status, providerId: 'gemini-deep-research-max', ...more });

export const completed = (
  answer: string,
  citations: readonly { readonly url: string; readonly title: string; readonly snippet?: string }[] = [],
): ScriptedResponse => taskState('completed', { result: { answer: { answer, citations } } });

/** Made-up results: two articles, and deep tasks that are done when they are asked for the second time. */
export function demoResearch(): ResearchScript {
  const asked = new Set<string | null>();
  return ({ route, taskId }, index) => {
    switch (route) {
      case 'discover':
        return feeds('https://news.example/feed.xml');
      case 'search':
        return articles(...DEMO_ARTICLES);
      case 'submit':
        return submitted(`demo-task-${index}`);
      case 'state':
        if (asked.has(taskId)) return completed(DEMO_REPORT, [DEMO_SOURCE]);
        asked.add(taskId);
        return taskState('running');
    }
  };
}

const DEMO_ARTICLES = [
  {
    url: 'https://news.example/balcony-solar-yield',
    title: 'What balcony solar panels really yield',
    excerpt: 'A year of measurements on forty balconies: 280 to 420 kWh each, most of it used at once.',
  },
  {
    url: 'https://news.example/feed-in-rules',
    title: 'New rules for small feed-in systems',
    excerpt: 'Registration becomes a matter of minutes.',
  },
];
const DEMO_REPORT = 'Wärmepumpen arbeiten auch im Altbau gut, wenn die Vorlauftemperatur unter 55 °C bleibt.';
const DEMO_SOURCE = { url: 'https://energie.example/altbau', title: 'Feldtest Wärmepumpen im Bestand' };

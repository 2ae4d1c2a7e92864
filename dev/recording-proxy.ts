import { once } from 'node:events';
import { appendFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { recordRequest, requestLogLine, type RecordedRequest } from './recorded-request.ts';

/** Hears what was asked and the very text of the answer. */
export type OnExchange = (request: RecordedRequest, replyText: string) => void;

export interface RecordingProxyOptions {
  /** Without `/v1`. */
  readonly targetUrl: string;
  readonly logFile: string;
  readonly onExchange?: OnExchange | undefined;
}

export interface RecordingProxy {
  /** What `MANA_LLM_URL` would be. */
  readonly url: string;
  close(): Promise<void>;
}

/** Of either direction: what mana-llm and its clients say to each other beside the body. */
const REQUEST_HEADERS = ['content-type', 'x-api-key', 'authorization', 'idempotency-key'];
const RESPONSE_HEADERS = ['content-type', 'x-mana-llm-resolved', 'retry-after'];
/** Longer than any client waits. */
const TIMEOUT_MS = 900_000;

/**
 * Stands before a gateway and keeps what is sent to it, one JSON line for each request, as the scripted gateway does: so
 * that it can be counted, and searched for what must not reach any model. Passes everything on as it is.
 */
export async function startRecordingProxy(options: RecordingProxyOptions): Promise<RecordingProxy> {
  const target = options.targetUrl.endsWith('/') ? options.targetUrl.slice(0, -1) : options.targetUrl;
  let requests = 0;
  const pass = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await text(incoming);
    const recorded = recordRequest(incoming, body);
    if (recorded !== null) appendFileSync(options.logFile, requestLogLine(requests, recorded));
    if (recorded !== null) requests += 1;
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    const answer = await fetch(`${target}${incoming.url ?? ''}`, {
      ...{ method: incoming.method ?? 'POST', body, redirect: 'manual' },
      headers: REQUEST_HEADERS.flatMap((name): [string, string][] => {
        const value = incoming.headers[name];
        return typeof value === 'string' ? [[name, value]] : [];
      }),
      signal: AbortSignal.any([gone.signal, AbortSignal.timeout(TIMEOUT_MS)]),
    });
    const headers = RESPONSE_HEADERS.flatMap((name) => {
      const value = answer.headers.get(name);
      return value === null ? [] : [[name, value] as const];
    });
    response.writeHead(answer.status, Object.fromEntries(headers));
    const replyText = await answer.text();
    if (recorded !== null) options.onExchange?.(recorded, replyText);
    response.end(replyText);
  };
  const server = createServer((incoming, response) => {
    // The gateway broke the connection: so does this.
    pass(incoming, response).catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

import { once } from 'node:events';
import { appendFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { recordRequest, requestLogLine, type RecordedRequest } from './recorded-request.ts';
import { httpError, sendScripted, type ScriptedResponse } from './scripted-responses.ts';

type Scripted = ScriptedResponse | Promise<ScriptedResponse>;
/** A list is used up one by one; a function answers for ever. */
export type Script = readonly Scripted[] | ((request: RecordedRequest, index: number) => Scripted);

export interface ScriptedGatewayOptions {
  readonly serviceKey: string;
  /** A free port by default. */
  readonly port?: number;
  readonly script: Script;
  /** Gets one JSON line per recorded request, with the full body. */
  readonly logFile?: string;
}

export interface ScriptedGateway {
  /** What `MANA_LLM_URL` would be. */
  readonly url: string;
  readonly port: number;
  /** Authorised requests in the order of their arrival. */
  readonly requests: readonly RecordedRequest[];
  /** Requests without the right `X-API-Key`. */
  readonly refusedCount: number;
  /** Requests that wait for an answer which will never come. */
  readonly hangingCount: number;
  /** A request came that the script had no answer for, or the script threw. */
  readonly exhausted: boolean;
  /** Resolves once so many requests have been recorded. */
  readonly waitForRequests: (count: number) => Promise<void>;
  /** Resolves once exactly so many requests hang; 0 waits until the clients have given up. */
  readonly waitForHanging: (count: number) => Promise<void>;
  /** @throws when a request found the script dry: the test's script is too short */
  readonly assertNotExhausted: () => void;
  /** @throws unless a request found the script dry */
  readonly assertExhausted: () => void;
  /** Ends the server and all its connections; a second call does nothing. */
  readonly close: () => Promise<void>;
}

/** The one scripted LLM server of all tests and of the demo; speaks docs/platform.md section 10 on 127.0.0.1. */
export async function startScriptedGateway(options: ScriptedGatewayOptions): Promise<ScriptedGateway> {
  const requests: RecordedRequest[] = [];
  const state = { refusedCount: 0, hangingCount: 0, exhausted: false };
  const { changed, until } = createConditions();

  const answerOf = async (request: RecordedRequest, index: number): Promise<ScriptedResponse> => {
    try {
      const { script } = options;
      const scripted = typeof script === 'function' ? script(request, index) : script[index];
      if (scripted !== undefined) return await scripted;
    } catch {
      // A script that throws has no answer either; assertNotExhausted tells the test.
    }
    state.exhausted = true;
    return httpError(500, { kind: 'script_exhausted', message: `no answer for request ${index + 1}` });
  };

  const hangUntilClosed = (response: ServerResponse): void => {
    // The client may have left while a gate was closed; then there is no further close event.
    if (response.closed) return;
    state.hangingCount += 1;
    response.once('close', () => {
      state.hangingCount -= 1;
      changed();
    });
    changed();
  };

  const handle = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const bodyText = await text(incoming);
    if (!isCompletion(incoming)) return sendScripted(response, httpError(404, 'Not Found'));
    if (incoming.headers['x-api-key'] !== options.serviceKey) {
      state.refusedCount += 1;
      return sendScripted(response, httpError(401, 'Missing API key. Provide X-API-Key header.'));
    }
    const request = recordRequest(incoming, bodyText);
    if (request === null) return sendScripted(response, httpError(422, 'no completion request'));
    const index = requests.push(request) - 1;
    if (options.logFile !== undefined) appendFileSync(options.logFile, requestLogLine(index, request));
    changed();
    const answer = await answerOf(request, index);
    if (answer.kind === 'hang') hangUntilClosed(response);
    else await sendScripted(response, answer);
  };

  const server = createServer((incoming, response) => {
    // A client that goes away in the middle of its request is no fault of the test.
    handle(incoming, response).catch(() => response.destroy());
  });
  server.listen(options.port ?? 0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const complain = (what: string): never => {
    throw new Error(`the gateway's script ${what}; requests so far: ${requests.length}`);
  };

  return {
    url: `http://127.0.0.1:${port}`,
    port,
    requests,
    get refusedCount() {
      return state.refusedCount;
    },
    get hangingCount() {
      return state.hangingCount;
    },
    get exhausted() {
      return state.exhausted;
    },
    waitForRequests: (count) => until(() => requests.length >= count),
    waitForHanging: (count) => until(() => state.hangingCount === count),
    assertNotExhausted: () => state.exhausted && complain('ran dry'),
    assertExhausted: () => state.exhausted || complain('did not run dry'),
    close: async () => {
      if (!server.listening) return;
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** Lets tests wait for a state instead of a time. */
function createConditions(): { changed: () => void; until: (holds: () => boolean) => Promise<void> } {
  const waiting = new Set<() => void>();
  return {
    changed: () => {
      for (const check of waiting) check();
    },
    until: (holds) =>
      new Promise((resolve) => {
        const check = (): void => {
          if (!holds()) return;
          waiting.delete(check);
          resolve();
        };
        waiting.add(check);
        check();
      }),
  };
}

const isCompletion = ({ method, url }: IncomingMessage): boolean =>
  method === 'POST' && url === '/v1/chat/completions';

export type { RecordedRequest } from './recorded-request.ts';
export {
  demoPlanner,
  gate,
  hang,
  httpError,
  httpReply,
  replyWithText,
  replyWithToolCalls,
  reset,
} from './scripted-responses.ts';
export type { Gate, ScriptedCall, ScriptedResponse } from './scripted-responses.ts';

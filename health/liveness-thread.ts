import { createServer, type ServerResponse } from 'node:http';
import { parentPort, workerData } from 'node:worker_threads';
import { pino } from 'pino';
import { readBeats, readLabel } from './shared-state.ts';
import { TICK } from './answer.ts';
import type { Answer, Question, ThreadData } from './liveness.ts';
import { createLogger } from '#logging/logger.ts';

/**
 * Answers for a process from outside its work: a thread with an event loop of its own, that sees by the main thread's beats
 * whether it still turns. It loads no secret and knows nothing but those beats.
 */
const { state, host, port, processName, logLevel, version, limits, routes } = workerData as ThreadData;
const main = parentPort;
if (main === null) throw new TypeError('expected to run as a worker thread');
// Straight to stdout: what a thread prints otherwise goes through the main thread, which may be what stands still.
const logger = createLogger(processName, logLevel, pino.destination({ fd: 1, sync: true }));

// Time is counted in our own looks: a machine that slept, or a process that was stopped, has not stalled.
let lastBeats = -1;
let stalledMs = 0;
setInterval(() => {
  const beats = readBeats(state);
  stalledMs = beats === lastBeats ? stalledMs + limits.lookEveryMs : 0;
  lastBeats = beats;
  if (stalledMs === limits.loggedAfterMs)
    logger.warn({ stalledMs, underWay: readLabel(state) }, 'the event loop stands still');
  if (stalledMs === limits.endedAfterMs) {
    logger.fatal(
      { stalledMs, underWay: readLabel(state) },
      'the event loop does not come back; the process ends',
    );
    // The main thread cannot be asked any more, and `process.exit` would end this thread alone.
    process.kill(process.pid, 'SIGKILL');
  }
}, limits.lookEveryMs);

const send = (response: ServerResponse, status: number, contentType: string, body: string): void => {
  response.writeHead(status, { 'content-type': contentType, 'cache-control': 'no-store' }).end(body);
};
const sendJson = (response: ServerResponse, status: number, body: object): void =>
  send(response, status, 'application/json; charset=utf-8', JSON.stringify(body));

function answerHealth(response: ServerResponse): void {
  const ok = stalledMs < limits.unhealthyAfterMs;
  sendJson(response, ok ? 200 : 503, { ok, status: ok ? 'ok' : 'stalled', version, stalledMs, tick: TICK });
}

const waiting = new Map<number, (answer: Answer) => void>();
let asked = 0;
main.on('message', (answer: Answer) => waiting.get(answer.id)?.(answer));

/** Asks the main thread, for as long as a probe waits. */
function ask(what: Question['what'], response: ServerResponse): void {
  asked += 1;
  const id = asked;
  const timer = setTimeout(
    () =>
      done({
        id,
        status: 503,
        contentType: 'application/json; charset=utf-8',
        body: '{"ok":false,"status":"no answer"}',
      }),
    limits.answerWithinMs,
  );
  const done = ({ status, contentType, body }: Answer): void => {
    clearTimeout(timer);
    waiting.delete(id);
    send(response, status, contentType, body);
  };
  waiting.set(id, done);
  main?.postMessage({ id, what } satisfies Question);
}

const server = createServer({ requestTimeout: 10_000, headersTimeout: 10_000 }, (request, response) => {
  const path = request.url?.split('?')[0];
  const isRead = request.method === 'GET' || request.method === 'HEAD';
  if (isRead && path === '/health') answerHealth(response);
  else if (isRead && routes.some((route) => `/${route}` === path))
    ask(path === '/ready' ? 'ready' : 'metrics', response);
  else sendJson(response, 404, { error: 'there is nothing here', code: 'NOT_FOUND' });
});
server.listen({ host, port }, () => {
  const address = server.address();
  main.postMessage({ listening: typeof address === 'object' ? (address?.port ?? port) : port });
});

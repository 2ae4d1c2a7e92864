import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { Logger } from 'pino';
import { beat, createSharedState, writeLabel } from './shared-state.ts';
import type { Readiness } from './readiness.ts';
import { countStall } from '#metrics/workers.ts';
import { exposeMetrics } from '#metrics/registry.ts';
import { VERSION } from './answer.ts';

/** What the liveness thread is started with. */
export interface ThreadData {
  readonly state: SharedArrayBuffer;
  readonly host: string;
  readonly port: number;
  readonly processName: string;
  readonly logLevel: string;
  readonly version: string;
  readonly limits: StallLimits;
  readonly routes: readonly Question['what'][];
}

export interface Question {
  readonly id: number;
  readonly what: 'ready' | 'metrics';
}
export interface Answer {
  readonly id: number;
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

export interface StallLimits {
  readonly lookEveryMs: number;
  readonly loggedAfterMs: number;
  /** `GET /health` is 503 from here on: activities are about to count as lost. */
  readonly unhealthyAfterMs: number;
  /** Nothing of ours works as long as this without a pause: the process ends itself, so that it is started again. */
  readonly endedAfterMs: number;
  /** For what only the main thread knows. */
  readonly answerWithinMs: number;
}

/** Multiples of a look. */
const LIMITS: StallLimits = {
  lookEveryMs: 500,
  loggedAfterMs: 1_000,
  unhealthyAfterMs: 5_000,
  endedAfterMs: 30_000,
  answerWithinMs: 4_000,
};

export interface Liveness {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Serves, from a thread of its own, `GET /health`: 200 while the event loop of this process turns, 503 when it has stood
 * still for five seconds, and an answer within a second in both cases. `GET /ready` and `GET /metrics` are asked of the main
 * thread and are 503 where it does not answer. Stalls of more than a second are logged, and counted once they are over.
 *
 * @throws Error when the address cannot be listened on
 */
export async function startLiveness(options: {
  readonly host: string;
  readonly port: number;
  readonly processName: string;
  readonly logLevel: string;
  readonly logger: Logger;
  readonly readiness: () => Promise<Readiness>;
  /** What is under way, and has been since the last call; our own names only. */
  readonly workUnderWay?: () => readonly string[];
  /** Called with a listener for its changes. */
  readonly onWorkChanged?: (listener: (underWay: readonly string[]) => void) => void;
}): Promise<Liveness> {
  const { host, port, processName, logLevel, logger, workUnderWay = () => [] } = options;
  const state = createSharedState();
  const routes = ['ready', 'metrics'] as const;
  const data: ThreadData = {
    state,
    host,
    port,
    processName,
    logLevel,
    version: VERSION,
    limits: LIMITS,
    routes,
  };
  const thread = new Worker(new URL('./liveness-thread.ts', import.meta.url), {
    workerData: data,
    name: 'liveness',
    // It needs none, and must hold no secret.
    env: {},
  });
  const [first] = (await once(thread, 'message')) as [{ listening: number }];
  thread.on('message', (question: Question) => {
    void answer(question, options.readiness).then((reply) => thread.postMessage(reply));
  });
  options.onWorkChanged?.((underWay) => writeLabel(state, underWay.join(', ')));
  const stopBeating = startBeating(
    state,
    (stalledMs) => {
      countStall();
      logger.warn({ stalledMs, underWay: workUnderWay().join(', ') }, 'the event loop stood still');
    },
    workUnderWay,
  );
  return {
    port: first.listening,
    close: async () => {
      stopBeating();
      await thread.terminate();
    },
  };
}

async function answer(question: Question, readiness: () => Promise<Readiness>): Promise<Answer> {
  const { id } = question;
  if (question.what === 'metrics') return { id, status: 200, ...(await exposeMetrics()) };
  const ready = await readiness();
  const contentType = 'application/json; charset=utf-8';
  return { id, status: ready.ok ? 200 : 503, contentType, body: JSON.stringify(ready) };
}

/** @returns stops it */
function startBeating(
  state: SharedArrayBuffer,
  onStall: (stalledMs: number) => void,
  look: () => unknown,
): () => void {
  let lastMs = performance.now();
  const timer = setInterval(() => {
    const nowMs = performance.now();
    const stalledMs = Math.round(nowMs - lastMs - LIMITS.lookEveryMs);
    lastMs = nowMs;
    beat(state);
    if (stalledMs > LIMITS.loggedAfterMs) onStall(stalledMs);
    else look();
  }, LIMITS.lookEveryMs);
  timer.unref();
  return () => clearInterval(timer);
}

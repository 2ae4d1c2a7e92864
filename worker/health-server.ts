import { fastify } from 'fastify';
import { exposeMetrics } from '../metrics/registry.ts';

/** What a worker process says about itself. */
export interface WorkerHealth {
  readonly ok: boolean;
  readonly workers: Readonly<Record<string, string>>;
}

export interface HealthServer {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Serves `GET /health`: 200 while every worker of the process polls and its databases answer, else 503; and
 * `GET /metrics` in Prometheus' text format, which holds codes and counts only.
 */
export async function startHealthServer(options: {
  readonly host: string;
  readonly port: number;
  readonly health: () => Promise<WorkerHealth>;
}): Promise<HealthServer> {
  const app = fastify({ logger: false, requestTimeout: 10_000 });
  app.get('/health', async (_request, reply) => {
    const { ok, workers } = await options.health();
    return reply.code(ok ? 200 : 503).send({ status: ok ? 'ok' : 'unavailable', workers });
  });
  app.get('/metrics', async (_request, reply) => {
    const { contentType, body } = await exposeMetrics();
    return reply.type(contentType).send(body);
  });
  await app.listen({ host: options.host, port: options.port });
  const address = app.server.address();
  const port = typeof address === 'object' && address !== null ? address.port : options.port;
  return { port, close: () => app.close() };
}

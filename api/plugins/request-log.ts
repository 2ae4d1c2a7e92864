import { LogController, type FastifyInstance } from 'fastify';
import { countRequest } from '#metrics/http.ts';

/** Fastify's own lines about requests are off: they hold the URL with its query. */
export const createLogController = (): LogController => new LogController({ disableRequestLogging: true });

/** One line for each request: the route's pattern instead of the URL, no headers, no body. */
export function logRequests(app: FastifyInstance): void {
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id);
  });
  app.addHook('onResponse', async (request, reply) => {
    const answered = {
      method: request.method,
      route: request.routeOptions.url ?? null,
      status: reply.statusCode,
      durationMs: Math.round(reply.elapsedTime),
    };
    countRequest(answered);
    request.log.info(answered, 'request');
  });
}

import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { exposeMetrics } from '#metrics/registry.ts';
import { SERVICE_KEY } from '#api/plugins/openapi.ts';
import { requireServiceKey } from '#api/plugins/service-key.ts';
import { errorResponses } from '#api/schemas/error.ts';

/** `GET /metrics` in Prometheus' text format, for services of the platform only. */
export function metricsRoute(app: FastifyInstance, serviceKeySha256: readonly Buffer[]): void {
  app.withTypeProvider<ZodTypeProvider>().route({
    method: 'GET',
    url: '/metrics',
    // Scrapes come every few seconds.
    logLevel: 'warn',
    schema: {
      summary: "This process's figures, in Prometheus' text format",
      security: [{ [SERVICE_KEY]: [] }],
      response: {
        200: { description: 'Prometheus text format', content: { 'text/plain': { schema: z.string() } } },
        ...errorResponses(401, 429),
      },
    },
    onRequest: requireServiceKey(serviceKeySha256),
    handler: async (_request, reply) => {
      const { contentType, body } = await exposeMetrics();
      return reply.header('cache-control', 'no-store').type(contentType).send(body);
    },
  });
}

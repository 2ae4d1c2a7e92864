import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { ProjectionPassResult } from '#domain/projection/pass-results.ts';
import { SERVICE_KEY } from '#api/plugins/openapi.ts';
import { requireServiceKey } from '#api/plugins/service-key.ts';
import { errorResponses } from '#api/schemas/error.ts';

const passSchema = z.object({
  changes: z.number().meta({ description: 'rows of the change log taken in' }),
  records: z.number().meta({ description: 'missions and agents that they belong to' }),
  schedules: z.number().meta({ description: 'schedules created, updated or removed' }),
  started: z.number().meta({ description: 'runs started because their instant had passed' }),
  pending: z.number().meta({ description: 'missions whose schedule is still out of date' }),
}) satisfies z.ZodType<ProjectionPassResult>;

/** Longer than a pass is waited for. */
const HANDLER_TIMEOUT_MS = 35_000;

/**
 * `POST /internal/tick`: a pass of the projection now, for services of the platform only. Calls that overlap share one.
 *
 * @param runPass resolves when the pass has ended
 */
export function tickRoute(
  app: FastifyInstance,
  serviceKeySha256: readonly Buffer[],
  runPass: () => Promise<ProjectionPassResult>,
): void {
  app.withTypeProvider<ZodTypeProvider>().route({
    method: 'POST',
    url: '/internal/tick',
    config: { bodyIsOptional: true },
    handlerTimeout: HANDLER_TIMEOUT_MS,
    schema: {
      summary: 'Follows the change log now and starts what is due',
      security: [{ [SERVICE_KEY]: [] }],
      response: { 200: passSchema, ...errorResponses(400, 401, 413, 429, 500, 503) },
    },
    onRequest: requireServiceKey(serviceKeySha256),
    handler: async (_request, reply) => reply.header('cache-control', 'no-store').send(await runPass()),
  });
}

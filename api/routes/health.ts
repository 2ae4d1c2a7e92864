import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { DatabaseStates } from '../database-health.ts';

const healthSchema = z.object({
  status: z.enum(['ok', 'unavailable']),
  databases: z.object({ sync: z.enum(['ok', 'unavailable']), auth: z.enum(['ok', 'unavailable']) }),
});

export const HEALTH_URL = '/health';

const stateOf = (isFine: boolean) => (isFine ? ('ok' as const) : ('unavailable' as const));

/** `GET /health`: 200 if both databases answer, else 503. */
export function healthRoute(app: FastifyInstance, databaseHealth: () => Promise<DatabaseStates>): void {
  app.withTypeProvider<ZodTypeProvider>().route({
    method: 'GET',
    url: HEALTH_URL,
    // Probes come every few seconds.
    logLevel: 'warn',
    schema: { summary: 'Whether both databases answer', response: { 200: healthSchema, 503: healthSchema } },
    handler: async (_request, reply) => {
      const { syncDatabase, authDatabase } = await databaseHealth();
      const isFine = syncDatabase && authDatabase;
      return reply.code(isFine ? 200 : 503).send({
        status: stateOf(isFine),
        databases: { sync: stateOf(syncDatabase), auth: stateOf(authDatabase) },
      });
    },
  });
}

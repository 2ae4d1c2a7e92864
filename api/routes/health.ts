import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { TICK, VERSION } from '#health/answer.ts';
import type { Database } from '#db/client.ts';
import { authDatabaseOf, checkDatabase, syncDatabaseOf } from '#db/readiness.ts';
import { createReadiness, type Readiness } from '#health/readiness.ts';

const healthSchema = z.object({
  ok: z.boolean(),
  status: z.enum(['ok']),
  version: z.string(),
  tick: z.object({ enabled: z.boolean() }),
});
const readySchema = z.object({
  ok: z.boolean(),
  status: z.enum(['ok', 'unavailable']),
  checks: z.record(z.string(), z.string()),
});

export const HEALTH_URL = '/health';
export const READY_URL = '/ready';

/** `GET /health`: 200, this process answers. `GET /ready`: 200 if it can also do its work, else 503. */
export function healthRoutes(app: FastifyInstance, readiness: () => Promise<Readiness>): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  routes.route({
    method: 'GET',
    url: HEALTH_URL,
    // Probes come every few seconds.
    logLevel: 'warn',
    schema: { summary: 'Whether the process answers', response: { 200: healthSchema } },
    handler: () => Promise.resolve({ ok: true, status: 'ok' as const, version: VERSION, tick: TICK }),
  });
  routes.route({
    method: 'GET',
    url: READY_URL,
    logLevel: 'warn',
    schema: {
      summary: 'Whether the databases answer, with the right user and schema',
      response: { 200: readySchema, 503: readySchema },
    },
    handler: async (_request, reply) => {
      const ready = await readiness();
      return reply.code(ready.ok ? 200 : 503).send({ ...ready, checks: { ...ready.checks } });
    },
  });
}

const ROLE = 'mana_missions_api';

/** What the API cannot do without. Temporal is not among it: grants and audit work while it is down. */
export const createApiReadiness = (databases: {
  readonly syncDatabase: Database;
  readonly authDatabase: Database;
}): (() => Promise<Readiness>) =>
  createReadiness({
    syncDatabase: () => checkDatabase(databases.syncDatabase, syncDatabaseOf(ROLE)),
    authDatabase: () => checkDatabase(databases.authDatabase, authDatabaseOf(ROLE)),
  });

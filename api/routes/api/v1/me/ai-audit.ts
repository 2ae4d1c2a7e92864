import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { Database } from '../../../../../db/client.ts';
import { listDecryptAudit } from '../../../../../db/decrypt-audit.ts';
import { userOf } from '../../../../plugins/authentication.ts';
import {
  clampLimit,
  decryptAuditQuerySchema,
  decryptAuditResponseSchema,
} from '../../../../schemas/decrypt-audit.ts';
import { errorSchema } from '../../../../schemas/error.ts';

/** `GET /api/v1/me/ai-audit?missionId=&limit=` (contract section 8). */
export function decryptAuditRoutes(app: FastifyInstance, syncDatabase: Database): void {
  app.withTypeProvider<ZodTypeProvider>().route({
    method: 'GET',
    url: '/ai-audit',
    schema: {
      querystring: decryptAuditQuerySchema,
      response: { 200: decryptAuditResponseSchema, '4xx': errorSchema, '5xx': errorSchema },
    },
    handler: async (request) => {
      const userId = userOf(request);
      // `?missionId=` is how the contract writes an empty filter.
      const filter = { missionId: request.query.missionId || null, limit: clampLimit(request.query.limit) };
      const rows = await syncDatabase.asUser(userId, (tx) => listDecryptAudit(tx, userId, filter));
      return { rows: rows.map((row) => ({ ...row, ts: row.ts.toISOString() })) };
    },
  });
}

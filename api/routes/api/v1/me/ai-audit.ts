import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { readOwnAuditHead, type AuditHead } from '#db/audit-chain.ts';
import type { Database } from '#db/client.ts';
import { listDecryptAudit } from '#db/decrypt-audit.ts';
import { userOf } from '#api/plugins/authentication.ts';
import {
  clampLimit,
  decodeCursor,
  decryptAuditQuerySchema,
  decryptAuditResponseSchema,
  encodeCursor,
} from '#api/schemas/decrypt-audit.ts';
import { errorResponses } from '#api/schemas/error.ts';

/** `<seq>.<hash in hex>` of the caller's chain: whoever keeps it can prove later that the chain was cut (docs/audit.md). */
const AUDIT_HEAD_HEADER = 'x-audit-head';

/**
 * `GET /api/v1/me/ai-audit?missionId=&limit=` (docs/platform.md section 8). The body is the contract's; what we have besides
 * stands in headers: the head of the user's chain, and a `Link` to the next page.
 */
export function decryptAuditRoutes(app: FastifyInstance, syncDatabase: Database): void {
  app.withTypeProvider<ZodTypeProvider>().route({
    method: 'GET',
    url: '/ai-audit',
    schema: {
      querystring: decryptAuditQuerySchema,
      response: { 200: decryptAuditResponseSchema, ...errorResponses(400, 401, 429, 500, 503) },
    },
    handler: async (request, reply) => {
      const userId = userOf(request);
      const { query } = request;
      // `?missionId=` is how the contract writes an empty filter.
      const filter = { missionId: query.missionId || null, limit: clampLimit(query.limit) };
      const beforeSeq = query.cursor === undefined ? null : decodeCursor(query.cursor);
      const { head, page } = await syncDatabase.asUser(userId, async (tx) => ({
        head: await readOwnAuditHead(tx),
        page: await listDecryptAudit(tx, { ...filter, beforeSeq }),
      }));
      reply.header(AUDIT_HEAD_HEADER, headText(head));
      if (page.nextBeforeSeq !== null) {
        reply.header('link', nextLink(request.routeOptions.url ?? '', filter, page.nextBeforeSeq));
      }
      return { rows: [...page.rows] };
    },
  });
}

const headText = ({ seq, hash }: AuditHead): string => `${seq}.${hash.toString('hex')}`;

/** RFC 8288; the target is relative, because the API may stand behind a proxy under another name. */
function nextLink(
  path: string,
  filter: { readonly missionId: string | null; readonly limit: number },
  nextBeforeSeq: bigint,
): string {
  const query = new URLSearchParams({
    ...(filter.missionId !== null && { missionId: filter.missionId }),
    limit: String(filter.limit),
    cursor: encodeCursor(nextBeforeSeq),
  });
  return `<${path}?${query.toString()}>; rel="next"`;
}

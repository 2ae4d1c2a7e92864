import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { mintMissionGrant } from '../../../../mint-mission-grant.ts';
import type { MintDependencies } from '../../../../mint-mission-grant.ts';
import { userOf } from '../../../../plugins/authentication.ts';
import { limitUser } from '../../../../plugins/rate-limits.ts';
import { errorSchema } from '../../../../schemas/error.ts';
import { missionGrantRequestSchema, missionGrantResponseSchema } from '../../../../schemas/mission-grant.ts';

/** `POST /api/v1/me/ai-mission-grant` (contract section 7). */
export function missionGrantRoutes(
  app: FastifyInstance,
  dependencies: MintDependencies,
  mintsPerMinute: number,
): void {
  app.withTypeProvider<ZodTypeProvider>().route({
    method: 'POST',
    url: '/ai-mission-grant',
    schema: {
      body: missionGrantRequestSchema,
      response: { 200: missionGrantResponseSchema, '4xx': errorSchema, '5xx': errorSchema },
    },
    // After the body was checked: only what would be minted counts.
    preHandler: limitUser(app, mintsPerMinute),
    handler: async (request) =>
      mintMissionGrant(
        dependencies,
        {
          userId: userOf(request),
          ipAddress: request.ip,
          userAgent: request.headers['user-agent'] ?? null,
          log: request.log,
        },
        request.body,
      ),
  });
}

import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { mintMissionGrant, type MintDependencies } from '#api/mint-mission-grant.ts';
import { userOf } from '#api/plugins/authentication.ts';
import { USER_TOKEN } from '#api/plugins/openapi.ts';
import { limitUser } from '#api/plugins/rate-limits.ts';
import { errorResponses } from '#api/schemas/error.ts';
import { missionGrantRequestSchema, missionGrantResponseSchema } from '#api/schemas/mission-grant.ts';

/** `POST /api/v1/me/ai-mission-grant` (docs/platform.md section 7). */
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
      summary: 'Mints a grant; its response is stored unchanged as `mission.grant`',
      security: [{ [USER_TOKEN]: [] }],
      response: {
        200: missionGrantResponseSchema,
        ...errorResponses(400, 401, 404, 409, 413, 429, 500, 503),
      },
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

import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { BadRequestError } from '#domain/base/errors.ts';
import { toMissionId } from '#domain/base/ids.ts';
import { listMissionRuns, startRunNow, type RunDependencies } from '#api/mission-runs.ts';
import { userOf } from '#api/plugins/authentication.ts';
import { USER_TOKEN } from '#api/plugins/openapi.ts';
import { limitUser } from '#api/plugins/rate-limits.ts';
import { errorResponses } from '#api/schemas/error.ts';
import { missionParamsSchema } from '#api/schemas/mission-grant.ts';
import {
  clampRunLimit,
  runListQuerySchema,
  runListSchema,
  startedRunSchema,
} from '#api/schemas/mission-run.ts';

const security = [{ [USER_TOKEN]: [] }];

/** `POST /api/v1/me/missions/:missionId/run` and `GET …/runs` */
export function missionRunsRoutes(
  app: FastifyInstance,
  dependencies: RunDependencies,
  startsPerMinute: number,
): void {
  startRoute(app, dependencies, startsPerMinute);
  listRoute(app, dependencies);
}

function startRoute(app: FastifyInstance, dependencies: RunDependencies, perMinute: number): void {
  app.withTypeProvider<ZodTypeProvider>().route({
    method: 'POST',
    url: '/missions/:missionId/run',
    config: { bodyIsOptional: true },
    schema: {
      summary: 'Runs the mission now, whatever its schedule says',
      security,
      params: missionParamsSchema,
      response: { 202: startedRunSchema, ...errorResponses(400, 401, 404, 409, 413, 429, 500, 503) },
    },
    preHandler: limitUser(app, perMinute),
    handler: async (request, reply) => {
      const { missionId } = request.params;
      const runId = await startRunNow(dependencies, userOf(request), toMissionId(missionId));
      request.log.info({ missionId, runId }, 'run asked for');
      return reply.code(202).send({ runId });
    },
  });
}

function listRoute(app: FastifyInstance, dependencies: RunDependencies): void {
  app.withTypeProvider<ZodTypeProvider>().route({
    method: 'GET',
    url: '/missions/:missionId/runs',
    schema: {
      summary: 'Runs of the mission, the newest first; a header link names the next page as well',
      security,
      params: missionParamsSchema,
      querystring: runListQuerySchema,
      response: { 200: runListSchema, ...errorResponses(400, 401, 404, 429, 500, 503) },
    },
    handler: async (request, reply) => {
      const { missionId } = request.params;
      const page = { limit: clampRunLimit(request.query.limit), cursor: request.query.cursor };
      const listed = await listMissionRuns(dependencies, userOf(request), toMissionId(missionId), page);
      if (listed === 'unreadable-cursor') {
        throw new BadRequestError('querystring.cursor: expected the nextCursor of this list, unchanged');
      }
      if (listed.nextCursor !== null) {
        const query = new URLSearchParams({ limit: String(page.limit), cursor: listed.nextCursor });
        // Relative, because the API may stand behind a proxy under another name (RFC 8288).
        reply.header('link', `<runs?${query.toString()}>; rel="next"`);
      }
      return listed;
    },
  });
}

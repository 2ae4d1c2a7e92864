import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { z } from 'zod';
import { cancelOwnRun, findOwnRun, runBodyOf, type RunDependencies } from '#api/mission-runs.ts';
import { userOf } from '#api/plugins/authentication.ts';
import { USER_TOKEN } from '#api/plugins/openapi.ts';
import { limitUser } from '#api/plugins/rate-limits.ts';
import { errorResponses } from '#api/schemas/error.ts';
import { missionParamsSchema } from '#api/schemas/mission-grant.ts';
import { runDetailSchema, runParamsSchema, startedRunSchema } from '#api/schemas/mission-run.ts';

const security = [{ [USER_TOKEN]: [] }];

interface Form {
  readonly url: string;
  readonly params: z.ZodType<{ runId: string; missionId?: string }>;
}

/** With its mission in the URL or without: a run id is unique. */
const FORMS: readonly Form[] = [
  { url: '/missions/:missionId/runs/:runId', params: runParamsSchema.extend(missionParamsSchema.shape) },
  { url: '/missions/runs/:runId', params: runParamsSchema },
];

/** `GET /api/v1/me/missions/:missionId/runs/:runId` and `POST …/cancel`, also without the mission */
export function missionRunRoutes(
  app: FastifyInstance,
  dependencies: RunDependencies,
  cancelsPerMinute: number,
): void {
  const limit = limitUser(app, cancelsPerMinute);
  for (const form of FORMS) {
    showRoute(app, dependencies, form);
    cancelRoute(app, dependencies, form, limit);
  }
}

function showRoute(app: FastifyInstance, dependencies: RunDependencies, { url, params }: Form): void {
  app.withTypeProvider<ZodTypeProvider>().route({
    method: 'GET',
    url,
    schema: {
      summary: 'One run, and where it stands',
      security,
      params,
      response: { 200: runDetailSchema, ...errorResponses(400, 401, 404, 429, 500, 503) },
    },
    handler: async (request) => {
      const { runId, missionId = null } = request.params;
      const run = await findOwnRun(dependencies, userOf(request), runId, missionId);
      const live = run.state === 'running' ? await dependencies.runs.progress(run) : null;
      return { ...runBodyOf(run), live };
    },
  });
}

function cancelRoute(
  app: FastifyInstance,
  dependencies: RunDependencies,
  { url, params }: Form,
  limit: ReturnType<typeof limitUser>,
): void {
  app.withTypeProvider<ZodTypeProvider>().route({
    method: 'POST',
    url: `${url}/cancel`,
    config: { bodyIsOptional: true },
    schema: {
      summary: 'Ends an open run at once; its iteration says so, the next instant stands',
      security,
      params,
      response: { 202: startedRunSchema, ...errorResponses(400, 401, 404, 409, 413, 429, 500, 503) },
    },
    preHandler: limit,
    handler: async (request, reply) => {
      const { runId, missionId = null } = request.params;
      const run = await findOwnRun(dependencies, userOf(request), runId, missionId);
      await cancelOwnRun(dependencies, run);
      request.log.info({ missionId: run.missionId, runId }, 'run to be cancelled');
      return reply.code(202).send({ runId });
    },
  });
}

import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { toMissionId } from '#domain/base/ids.ts';
import {
  deleteSchedule,
  putSchedule,
  showSchedule,
  type ScheduleDependencies,
} from '#api/mission-schedule.ts';
import { userOf } from '#api/plugins/authentication.ts';
import { USER_TOKEN } from '#api/plugins/openapi.ts';
import { limitUser } from '#api/plugins/rate-limits.ts';
import { errorResponses } from '#api/schemas/error.ts';
import { missionParamsSchema } from '#api/schemas/mission-grant.ts';
import { missionScheduleSchema, scheduleRequestSchema } from '#api/schemas/mission-schedule.ts';

const URL = '/missions/:missionId/schedule';
const security = [{ [USER_TOKEN]: [] }];

/** `GET`, `PUT` and `DELETE /api/v1/me/missions/:missionId/schedule` */
export function missionScheduleRoutes(
  app: FastifyInstance,
  dependencies: ScheduleDependencies,
  changesPerMinute: number,
): void {
  showRoute(app, dependencies);
  putRoute(app, dependencies, changesPerMinute);
  deleteRoute(app, dependencies, changesPerMinute);
}

function showRoute(app: FastifyInstance, dependencies: ScheduleDependencies): void {
  app.withTypeProvider<ZodTypeProvider>().route({
    method: 'GET',
    url: URL,
    schema: {
      summary: 'When the mission runs by itself, or why it does not',
      security,
      params: missionParamsSchema,
      response: { 200: missionScheduleSchema, ...errorResponses(400, 401, 404, 429, 500, 503) },
    },
    handler: (request) => showSchedule(dependencies, userOf(request), toMissionId(request.params.missionId)),
  });
}

function putRoute(app: FastifyInstance, dependencies: ScheduleDependencies, perMinute: number): void {
  app.withTypeProvider<ZodTypeProvider>().route({
    method: 'PUT',
    url: URL,
    config: { bodyIsOptional: true },
    schema: {
      summary: 'Has the mission run in the background, in the given time zone if there is one',
      security,
      params: missionParamsSchema,
      body: scheduleRequestSchema,
      response: { 200: missionScheduleSchema, ...errorResponses(400, 401, 404, 413, 429, 500, 503) },
    },
    preHandler: limitUser(app, perMinute),
    handler: async (request) => {
      const { missionId } = request.params;
      const timeZone = request.body?.timeZone ?? null;
      const schedule = await putSchedule(dependencies, userOf(request), toMissionId(missionId), timeZone);
      request.log.info({ missionId, timeZone }, 'schedule asked for');
      return schedule;
    },
  });
}

function deleteRoute(app: FastifyInstance, { syncDatabase }: ScheduleDependencies, perMinute: number): void {
  app.withTypeProvider<ZodTypeProvider>().route({
    method: 'DELETE',
    url: URL,
    schema: {
      summary: 'Takes the mission out of the background; it runs when asked to, and PUT brings it back',
      security,
      params: missionParamsSchema,
      response: {
        204: z.null().meta({ description: 'taken out' }),
        ...errorResponses(400, 401, 404, 413, 429, 500, 503),
      },
    },
    preHandler: limitUser(app, perMinute),
    handler: async (request, reply) => {
      const { missionId } = request.params;
      await deleteSchedule(syncDatabase, userOf(request), toMissionId(missionId));
      request.log.info({ missionId }, 'mission taken out of the background');
      return reply.code(204).send(null);
    },
  });
}

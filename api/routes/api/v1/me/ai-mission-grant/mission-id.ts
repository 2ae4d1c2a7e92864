import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { Database } from '#db/client.ts';
import { findLatestGrant, revokeMissionGrants, type GrantOverview } from '#db/mission-grants.ts';
import { lockMission } from '#db/mission-lock.ts';
import { toMissionId } from '#domain/base/ids.ts';
import { countRevoked } from '#metrics/grants.ts';
import { userOf } from '#api/plugins/authentication.ts';
import { USER_TOKEN } from '#api/plugins/openapi.ts';
import { limitUser } from '#api/plugins/rate-limits.ts';
import { errorResponses } from '#api/schemas/error.ts';
import {
  missionGrantStateSchema,
  missionParamsSchema,
  type MissionGrantState,
} from '#api/schemas/mission-grant.ts';

const URL = '/ai-mission-grant/:missionId';
const security = [{ [USER_TOKEN]: [] }];

/** `GET` and `DELETE /api/v1/me/ai-mission-grant/:missionId` */
export function missionGrantOfMissionRoutes(
  app: FastifyInstance,
  syncDatabase: Database,
  revocationsPerMinute: number,
): void {
  showRoute(app, syncDatabase);
  revokeRoute(app, syncDatabase, revocationsPerMinute);
}

/** What became of the mission's grant. A mission that nobody ever asked a grant for has none; that is no error. */
function showRoute(app: FastifyInstance, syncDatabase: Database): void {
  app.withTypeProvider<ZodTypeProvider>().route({
    method: 'GET',
    url: URL,
    schema: {
      summary: 'State, scope and expiry of the latest grant of a mission',
      security,
      params: missionParamsSchema,
      response: { 200: missionGrantStateSchema, ...errorResponses(400, 401, 429, 503) },
    },
    handler: async (request) => {
      const userId = userOf(request);
      const missionId = toMissionId(request.params.missionId);
      return stateOf(await syncDatabase.asUser(userId, (tx) => findLatestGrant(tx, missionId)));
    },
  });
}

function stateOf(grant: GrantOverview | null): MissionGrantState {
  if (grant === null)
    return { state: 'none', scope: null, issuedAt: null, expiresAt: null, expiresBeforeNextRun: null };
  const { tables, recordIds, revoked, expired } = grant;
  return {
    state: revoked ? 'revoked' : expired ? 'expired' : 'active',
    scope: { tables, recordIds },
    issuedAt: grant.issuedAt.toISOString(),
    expiresAt: grant.expiresAt.toISOString(),
    expiresBeforeNextRun: grant.expiresBeforeNextRun,
  };
}

/**
 * Ends every grant of the mission that was issued until now. Doing it again, or for a mission without grants, changes
 * nothing and is answered alike: whoever asks wants that nothing can be opened, and nothing can.
 */
function revokeRoute(app: FastifyInstance, syncDatabase: Database, revocationsPerMinute: number): void {
  app.withTypeProvider<ZodTypeProvider>().route({
    method: 'DELETE',
    url: URL,
    schema: {
      summary: 'Revokes all grants of a mission at once; a run under way stops at its next round',
      security,
      params: missionParamsSchema,
      response: { 204: z.null().meta({ description: 'revoked' }), ...errorResponses(400, 401, 429, 503) },
    },
    // Each may leave a row.
    preHandler: limitUser(app, revocationsPerMinute),
    handler: async (request, reply) => {
      const userId = userOf(request);
      const missionId = toMissionId(request.params.missionId);
      const revoked = await syncDatabase.asUser(userId, async (tx) => {
        lockMission(tx, missionId);
        return revokeMissionGrants(tx, missionId);
      });
      countRevoked(revoked);
      request.log.info({ missionId, revoked }, 'grants revoked');
      return reply.code(204).send(null);
    },
  });
}

import swagger from '@fastify/swagger';
import type { FastifyInstance } from 'fastify';
import { jsonSchemaTransform } from 'fastify-type-provider-zod';

/** Names of the security schemes, as routes refer to them. */
export const USER_TOKEN = 'userToken';
export const SERVICE_KEY = 'serviceKey';

export const OPENAPI_URL = '/openapi.json';

/**
 * Describes every route that is registered after it, from the very schemas that check requests, and serves the
 * description. `docs/openapi.json` is a copy of it, see `scripts/openapi.ts`.
 */
export async function describeRoutes(app: FastifyInstance): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Mana Missions',
        version: '1',
        description: 'Every answer but a success is {error, code}; the code is stable, the text is not.',
      },
      components: {
        securitySchemes: {
          [USER_TOKEN]: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
          [SERVICE_KEY]: { type: 'apiKey', in: 'header', name: 'X-Service-Key' },
        },
      },
    },
    transform: jsonSchemaTransform,
  });
}

/** `GET /openapi.json` */
export function openApiRoute(app: FastifyInstance): void {
  app.get(OPENAPI_URL, { schema: { hide: true } }, () => app.swagger());
}

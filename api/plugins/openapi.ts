import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';
import { jsonSchemaTransform } from 'fastify-type-provider-zod';

/** Names of the security schemes, as routes refer to them. */
export const USER_TOKEN = 'userToken';
export const SERVICE_KEY = 'serviceKey';

const OPENAPI_URL = '/openapi.json';
const OPENAPI_PAGE_URL = '/openapi';

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

/** `GET /openapi/`: the description as a page that can be read and tried, of files of this process alone. */
export async function openApiPage(app: FastifyInstance): Promise<void> {
  await app.register(swaggerUi, {
    routePrefix: OPENAPI_PAGE_URL,
    // Its own would have browsers ask for https on every host but this machine.
    staticCSP: {
      'default-src': "'self'",
      'style-src': ["'self'", "'unsafe-inline'"],
      'img-src': ["'self'", 'data:'],
      'base-uri': "'none'",
      'object-src': "'none'",
      'frame-ancestors': "'none'",
    },
    // A token typed in here is gone with the page.
    uiConfig: { persistAuthorization: false, validatorUrl: null },
  });
}

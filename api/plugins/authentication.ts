import type { FastifyInstance, FastifyRequest } from 'fastify';
import { UnauthorizedError } from '#domain/base/errors.ts';
import type { UserId } from '#domain/base/ids.ts';
import type { TokenVerifier } from '#api/token-verifier.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Whose token the request carries; null on routes without authentication. */
    userId: UserId | null;
  }
}

/** Every route of `app` needs a user token. It is checked first, before the body is read. */
export function requireUser(app: FastifyInstance, verifyToken: TokenVerifier): void {
  app.decorateRequest('userId', null);
  app.addHook('onRequest', async (request) => {
    request.userId = await verifyToken(bearerToken(request.headers.authorization));
  });
}

function bearerToken(header: string | undefined): string {
  const token = /^Bearer +(\S+)$/i.exec(header ?? '')?.[1];
  if (token === undefined)
    throw new UnauthorizedError('a user token is required: Authorization: Bearer <token>');
  return token;
}

/** The user of a request on a route behind `requireUser`. */
export function userOf(request: FastifyRequest): UserId {
  if (request.userId === null) throw new UnauthorizedError('a user token is required');
  return request.userId;
}

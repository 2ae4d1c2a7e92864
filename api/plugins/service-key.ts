import { createHash, timingSafeEqual } from 'node:crypto';
import type { onRequestHookHandler } from 'fastify';
import { UnauthorizedError } from '#domain/base/errors.ts';

/**
 * A hook that lets only services of the platform pass (docs/platform.md section 9): header `X-Service-Key`, compared by its
 * SHA-256, each time with all of the configured ones, in a time that does not depend on them.
 *
 * @param hashes SHA-256 of the accepted keys, 32 bytes each; none of them: nobody passes
 */
export function requireServiceKey(hashes: readonly Buffer[]): onRequestHookHandler {
  return (request, _reply, done) => {
    const header = request.headers['x-service-key'];
    const found = createHash('sha256')
      .update(typeof header === 'string' ? header : '', 'utf8')
      .digest();
    const matches = hashes.filter((hash) => timingSafeEqual(hash, found));
    const isAccepted = typeof header === 'string' && matches.length > 0;
    done(isAccepted ? undefined : new UnauthorizedError('a service key is required: X-Service-Key: <key>'));
  };
}

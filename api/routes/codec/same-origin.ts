import type { FastifyReply, FastifyRequest } from 'fastify';
import { BadRequestError } from '#domain/base/errors.ts';

/**
 * A hook that refuses a form that another site's page, or another port of this host, made the browser send.
 *
 * Browsers say where a request comes from in `Sec-Fetch-Site`; on plain http outside of this machine they leave it out,
 * and then `Origin` says it.
 *
 * It is a BadRequestError too if neither header is there: forms come from browsers.
 *
 * @see https://web.dev/articles/fetch-metadata
 */
export function requireSameOrigin(
  request: FastifyRequest,
  _reply: FastifyReply,
  done: (error?: Error) => void,
): void {
  const { origin, 'sec-fetch-site': site } = request.headers;
  const isSameOrigin =
    site === undefined ? origin === `${request.protocol}://${request.host}` : site === 'same-origin';
  if (isSameOrigin) done();
  else done(new BadRequestError('this form must be sent from the login page itself'));
}

import type { FastifyInstance } from 'fastify';
import { BadRequestError } from '#domain/base/errors.ts';

/** OPTIONS is for CORS preflights only. Before the CORS plugin, which would refuse others in plain text. */
export function refuseOtherOptions(app: FastifyInstance): void {
  app.addHook('onRequest', ({ method, headers }, _reply, done) => {
    const isPreflight =
      headers.origin !== undefined && headers['access-control-request-method'] !== undefined;
    const isRefused = method === 'OPTIONS' && !isPreflight;
    done(isRefused ? new BadRequestError('OPTIONS without the headers of a CORS preflight') : undefined);
  });
}

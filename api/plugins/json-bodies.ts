import type { FastifyInstance } from 'fastify';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** A request with an empty body is read as one without. */
    bodyIsOptional?: boolean;
  }
}

/**
 * Fastify's own JSON parser, with two differences. Keys named `__proto__` or `constructor` are dropped like every other
 * field that a route does not know. An empty body of a request that needs none is no body: HTTP clients name a content
 * type for every request, also for a DELETE and for a POST that says all in its URL.
 */
export function readJsonBodies(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('remove', 'remove');
  app.removeContentTypeParser('application/json');
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    const text = body.toString();
    const needsNone = request.method === 'DELETE' || request.routeOptions.config.bodyIsOptional === true;
    if (text === '' && needsNone) done(null, undefined);
    else void parse(request, text, done);
  });
}

import type { FastifyInstance } from 'fastify';
import type { TracePlace } from '#domain/run/trace.ts';
import { exportSpan, inPlace, isTracing, newSpanId, newTraceId } from '#tracing/spans.ts';

/**
 * Each request begins a trace, of which what it does in Temporal and the databases is part: the route's pattern and the
 * status, no URL, no header, no body. What a client says of traces of its own is not believed. Does nothing while tracing is off.
 */
export function traceRequests(app: FastifyInstance): void {
  if (!isTracing()) return;
  const open = new WeakMap<object, { readonly place: TracePlace; readonly startedAtMs: number }>();
  // The handler runs within; reading the body before would have left it again.
  app.addHook('preHandler', (request, _reply, done) => {
    const place = { traceId: newTraceId(), spanId: newSpanId() };
    open.set(request, { place, startedAtMs: Date.now() });
    inPlace(place, done);
  });
  app.addHook('onResponse', async (request, reply) => {
    const span = open.get(request);
    // Scrapes and probes come every few seconds, and log as little.
    const route = request.routeOptions.url;
    if (span === undefined || route === undefined || request.routeOptions.logLevel === 'warn') return;
    exportSpan({
      ...span,
      name: `${request.method} ${route}`,
      kind: 'server',
      parentSpanId: null,
      endedAtMs: Date.now(),
      attributes: {
        'http.request.method': request.method,
        'http.route': route,
        'http.response.status_code': reply.statusCode,
        'mana.request_id': request.id,
      },
      failure: reply.statusCode >= 500 ? String(reply.statusCode) : null,
    });
  });
}

import { collectDefaultMetrics, Registry } from 'prom-client';

/**
 * All figures of this process, in the text format of Prometheus. One for each process, as with stdout for the log: a
 * label holds codes, route patterns and versions only, never an id, so the number of series is bounded.
 */
export const registry = new Registry();

/** Memory, CPU, event loop: called by the entry points, since it starts observers. */
export const collectProcessMetrics = (): void => collectDefaultMetrics({ register: registry });

/** @returns body and content type of `GET /metrics` */
export const exposeMetrics = async (): Promise<{ readonly contentType: string; readonly body: string }> => ({
  contentType: registry.contentType,
  body: await registry.metrics(),
});

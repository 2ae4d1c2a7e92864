import { collectDefaultMetrics, Registry } from 'prom-client';

/**
 * All figures of this process, in the text format of Prometheus. One for each process, as with stdout for the log: a
 * label holds codes, route patterns and versions only, never an id, so the number of series is bounded.
 */
export const registry = new Registry();

/** Memory, CPU, event loop: called by the entry points, since it starts observers. */
export const collectProcessMetrics = (): void => collectDefaultMetrics({ register: registry });

const others: (() => Promise<string>)[] = [];

/** @param source figures that are collected elsewhere, in the same text format and under other names */
export const appendMetrics = (source: () => Promise<string>): number => others.push(source);

/** @returns body and content type of `GET /metrics` */
export async function exposeMetrics(): Promise<{ readonly contentType: string; readonly body: string }> {
  const texts = await Promise.all([registry.metrics(), ...others.map((source) => source())]);
  return { contentType: registry.contentType, body: texts.map((text) => text.trimEnd() + '\n').join('') };
}

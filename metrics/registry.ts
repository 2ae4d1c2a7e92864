import { collectDefaultMetrics, Registry } from 'prom-client';

/**
 * All figures of this process, in the text format of Prometheus. One for each process, as with stdout for the log: a
 * label holds codes, route patterns and versions only, never an id, so the number of series is bounded.
 */
export const registry = new Registry();

/**
 * How often the event loop is looked at: every ten milliseconds, as by default, takes more of an idle process than all else. What
 * `nodejs_eventloop_lag_…` says has this interval in it.
 */
export const EVENT_LOOP_EVERY_MS = 500;

/** Memory, CPU, event loop: called by the entry points, since it starts observers. */
export const collectProcessMetrics = (): void =>
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: EVENT_LOOP_EVERY_MS });

const others: (() => Promise<string>)[] = [];

/** @param source figures that are collected elsewhere, in the same text format and under other names */
export const appendMetrics = (source: () => Promise<string>): number => others.push(source);

/** @returns body and content type of `GET /metrics` */
export async function exposeMetrics(): Promise<{ readonly contentType: string; readonly body: string }> {
  const texts = await Promise.all([registry.metrics(), ...others.map((source) => source())]);
  return { contentType: registry.contentType, body: texts.map((text) => text.trimEnd() + '\n').join('') };
}

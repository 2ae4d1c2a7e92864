import { AsyncLocalStorage } from 'node:async_hooks';
import { randomBytes } from 'node:crypto';
import type { TracePlace } from '#domain/run/trace.ts';

export type SpanKind = 'server' | 'client' | 'internal';

/** A span that is over. Names and attributes are ids, counts, codes, route patterns and words of ours: never content. */
export interface Span {
  readonly name: string;
  readonly kind: SpanKind;
  readonly place: TracePlace;
  readonly parentSpanId: string | null;
  /** Milliseconds since the epoch. */
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  /** What went wrong: a code or the name of a class. Null: nothing. */
  readonly failure: string | null;
}

/** Takes spans as they end, and never waits for anybody. */
export type Exporter = (span: Span) => void;

let exporter: Exporter | null = null;
let current: AsyncLocalStorage<TracePlace> | null = null;

/** From now on spans are made, in this process; null ends that. */
export function exportSpans(to: Exporter | null): void {
  exporter = to;
  current = to === null ? null : new AsyncLocalStorage();
}

export const isTracing = (): boolean => exporter !== null;

/** Where the work under way stands; null outside of all spans. */
export const currentPlace = (): TracePlace | null => current?.getStore() ?? null;

/** What `work` does stands below `place`. */
export const inPlace = <T>(place: TracePlace, work: () => T): T =>
  current === null ? work() : current.run(place, work);

/** Passes on a span that was measured elsewhere. */
export const exportSpan = (span: Span): void => exporter?.(span);

type Description = Pick<Span, 'name' | 'kind' | 'attributes'>;

export const newSpanId = (): string => randomBytes(8).toString('hex');
export const newTraceId = (): string => randomBytes(16).toString('hex');

/**
 * Measures `work` as a span below the one that is under way, or below `parent`. Without either it is part of no trace and
 * nothing is measured; nor is it while tracing is off.
 *
 * @throws what the work threw
 */
export async function inSpan<T>(
  describe: () => Description,
  work: () => Promise<T>,
  parent: TracePlace | null = currentPlace(),
): Promise<T> {
  if (exporter === null || parent === null) return work();
  const place = { traceId: parent.traceId, spanId: newSpanId() };
  const startedAtMs = Date.now();
  let failure: string | null = null;
  try {
    return await inPlace(place, work);
  } catch (error) {
    failure = failureOf(error);
    throw error;
  } finally {
    exportSpan({
      ...describe(),
      place,
      parentSpanId: parent.spanId,
      startedAtMs,
      endedAtMs: Date.now(),
      failure,
    });
  }
}

/** The code of an error, or the name of its class: texts may quote content. */
function failureOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  for (const name of ['type', 'code'] as const) {
    const code: unknown = name in error ? error[name as keyof Error] : undefined;
    if (typeof code === 'string' && /^\w{1,60}$/.test(code)) return code;
  }
  return error.constructor.name;
}

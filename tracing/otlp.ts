import { SpanKind, SpanStatusCode, TraceFlags, type HrTime, type SpanContext } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes, type Resource } from '@opentelemetry/resources';
import { BatchSpanProcessor, type ReadableSpan, type SpanExporter } from '@opentelemetry/sdk-trace';
import type { Exporter, Span } from './spans.ts';
import type { TracePlace } from '#domain/run/trace.ts';

const KINDS = { server: SpanKind.SERVER, client: SpanKind.CLIENT, internal: SpanKind.INTERNAL } as const;
/** A collector that does not answer costs spans, and nothing else. */
const EXPORT_WITHIN_MS = 5_000;
const BATCH = {
  scheduledDelayMillis: 1_000,
  exportTimeoutMillis: EXPORT_WITHIN_MS,
  maxExportBatchSize: 1_000,
  // What comes while it is full is dropped.
  maxQueueSize: 20_000,
};

/** Told of each batch: how many spans, and why they were not taken; null: they were. Never a text: those quote the collector's. */
export type OnExported = (spans: number, failure: string | null) => void;

/**
 * Sends spans by OTLP over HTTP, as JSON, in batches.
 *
 * @param endpoint `OTEL_EXPORTER_OTLP_ENDPOINT`: `/v1/traces` is below it
 * @returns `close` sends what is left, for a few seconds at most
 */
export function createOtlpExporter(
  endpoint: string,
  service: { readonly name: string; readonly version: string },
  onExported: OnExported,
): { readonly exporter: Exporter; readonly close: () => Promise<void> } {
  const url = `${endpoint.endsWith('/') ? endpoint.slice(0, -1) : endpoint}/v1/traces`;
  const otlp = new OTLPTraceExporter({ url, timeoutMillis: EXPORT_WITHIN_MS });
  const exporter: SpanExporter = {
    export: (spans, done) =>
      otlp.export(spans, (result) => {
        onExported(spans.length, result.error === undefined ? null : failureOf(result.error));
        done(result);
      }),
    shutdown: () => otlp.shutdown(),
  };
  const processor = new BatchSpanProcessor({ exporter, ...BATCH });
  const resource = resourceFromAttributes({
    'service.name': service.name,
    'service.version': service.version,
  });
  return {
    exporter: (span) => processor.onEnd(readable(span, resource)),
    close: async () => {
      await processor.shutdown().catch(() => undefined);
    },
  };
}

/** A status or a system error's code. The exporter tries some again, and then tells neither. */
function failureOf(error: Error): string {
  const code: unknown = 'code' in error ? error.code : undefined;
  if (typeof code === 'number') return `HTTP ${code}`;
  if (typeof code === 'string' && /^\w{1,60}$/.test(code)) return code;
  return 'HTTP 429, 502, 503 or 504, or no answer in time';
}

const readable = (span: Span, resource: Resource): ReadableSpan => ({
  name: span.name,
  kind: KINDS[span.kind],
  spanContext: () => contextOf(span.place),
  ...(span.parentSpanId !== null && {
    parentSpanContext: contextOf({ traceId: span.place.traceId, spanId: span.parentSpanId }),
  }),
  startTime: hrTime(span.startedAtMs),
  endTime: hrTime(span.endedAtMs),
  duration: hrTime(span.endedAtMs - span.startedAtMs),
  status: { code: span.failure === null ? SpanStatusCode.UNSET : SpanStatusCode.ERROR },
  attributes: { ...span.attributes, ...(span.failure !== null && { 'error.type': span.failure }) },
  links: [],
  events: [],
  ended: true,
  resource,
  instrumentationScope: { name: 'mana-missions' },
  ...{ droppedAttributesCount: 0, droppedEventsCount: 0, droppedLinksCount: 0 },
});

const contextOf = (place: TracePlace): SpanContext => ({ ...place, traceFlags: TraceFlags.SAMPLED });

/** Seconds and nanoseconds. */
const hrTime = (ms: number): HrTime => [Math.floor(ms / 1_000), Math.round((ms % 1_000) * 1_000_000)];

import { exportSpans } from './spans.ts';
import { countExported } from '#metrics/traces.ts';

/** Enough to send what is left; nobody waits longer for traces. */
const CLOSE_WITHIN_MS = 3_000;

/** As pino's. */
interface TracingLog {
  warn(fields: { readonly failure: string }, text: string): void;
}

/**
 * Starts tracing where there is an endpoint. Without one nothing is loaded: OpenTelemetry's packages are imported here alone.
 *
 * @param log told when the collector begins to fail, not at each batch
 * @returns ends it
 */
export async function startTracing(
  endpoint: string | null,
  service: { readonly name: string; readonly version: string },
  log: TracingLog,
  closeWithinMs = CLOSE_WITHIN_MS,
): Promise<() => Promise<void>> {
  if (endpoint === null) return () => Promise.resolve();
  const { createOtlpExporter } = await import('./otlp.ts');
  const { exporter, close } = createOtlpExporter(endpoint, service, watchExports(log));
  exportSpans(exporter);
  return async () => {
    exportSpans(null);
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, closeWithinMs);
    });
    await Promise.race([close(), tooLate]);
    clearTimeout(timer);
  };
}

/** Counts, and says once that spans are lost: at the first failure, and at the first one after a success. */
export function watchExports(log: TracingLog): (spans: number, failure: string | null) => void {
  let isFailing = false;
  return (spans, failure) => {
    countExported(failure === null ? 'sent' : 'failed', spans);
    if (failure !== null && !isFailing)
      log.warn({ failure }, 'the collector of OTEL_EXPORTER_OTLP_ENDPOINT takes no spans; they are dropped');
    isFailing = failure !== null;
  };
}

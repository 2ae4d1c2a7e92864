import { exportSpans } from './spans.ts';

/** Enough to send what is left; nobody waits longer for traces. */
const CLOSE_WITHIN_MS = 3_000;

/**
 * Starts tracing where there is an endpoint. Without one nothing is loaded: OpenTelemetry's packages are imported here alone.
 *
 * @returns ends it
 */
export async function startTracing(
  endpoint: string | null,
  service: { readonly name: string; readonly version: string },
  closeWithinMs = CLOSE_WITHIN_MS,
): Promise<() => Promise<void>> {
  if (endpoint === null) return () => Promise.resolve();
  const { createOtlpExporter } = await import('./otlp.ts');
  const { exporter, close } = createOtlpExporter(endpoint, service);
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

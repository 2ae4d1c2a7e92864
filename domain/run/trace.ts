/** A place in a trace, as OpenTelemetry names it: lower-case hex of 16 and 8 bytes. */
export interface TracePlace {
  readonly traceId: string;
  readonly spanId: string;
}

/** What workflows and their activities call it in Temporal's headers, which are stored in clear: two random numbers. */
export const TRACE_HEADER = 'mana-trace';

/** Workflows that are traced: those that go on for ever, or look at every mission, would be no traces but floods. */
export const TRACED_WORKFLOWS: readonly string[] = ['missionRun', 'healIterations', 'projectionPass'];

/**
 * Where a run stands in its trace. Every process works that out from the run's id, so a run that a schedule starts carries
 * nothing along; one that somebody started is part of their trace.
 *
 * @param runId a UUID
 * @param startedBy null: the run begins a trace
 */
export function traceOfRun(runId: string, startedBy: TracePlace | null): TracePlace {
  const hex = runId.replaceAll('-', '').toLowerCase();
  return { traceId: startedBy?.traceId ?? hex, spanId: hex.slice(16) };
}

/** Null for anything else than a place. */
export function placeOf(value: unknown): TracePlace | null {
  if (typeof value !== 'object' || value === null) return null;
  if (!('traceId' in value) || !('spanId' in value)) return null;
  const { traceId, spanId } = value;
  return isHex(traceId, 32) && isHex(spanId, 16) ? { traceId, spanId } : null;
}

const isHex = (value: unknown, length: number): value is string =>
  typeof value === 'string' && value.length === length && /^[\da-f]+$/.test(value);

/** What the worker hears when a workflow that is traced has ended. */
export interface WorkflowTraced {
  readonly startedBy: TracePlace | null;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  readonly hasFailed: boolean;
}

export interface TraceReports {
  readonly traces: { ended(report: WorkflowTraced): void };
}

import { defaultPayloadConverter, type Payload } from '@temporalio/common';
import { placeOf, TRACE_HEADER, type TracePlace } from '#domain/run/trace.ts';

/** Null without a place, and for anything else: whoever reaches the Temporal server writes headers, and a trace stops nothing. */
export function placeInHeaders(headers: Readonly<Record<string, Payload>>): TracePlace | null {
  try {
    const payload = headers[TRACE_HEADER];
    return payload === undefined ? null : placeOf(defaultPayloadConverter.fromPayload(payload));
  } catch {
    return null;
  }
}

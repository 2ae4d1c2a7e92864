import type { WorkflowClientInterceptor } from '@temporalio/client';
import { defaultPayloadConverter, type Headers } from '@temporalio/common';
import { currentPlace } from './spans.ts';
import { TRACE_HEADER, type TracePlace } from '#domain/run/trace.ts';

/** A workflow that is started within a span is part of its trace. Outside of one nothing is added to the request. */
export const tracedStarts: WorkflowClientInterceptor = {
  startWithDetails: (input, next) => next({ ...input, headers: withPlace(input.headers, currentPlace()) }),
};

const withPlace = (headers: Headers, place: TracePlace | null): Headers =>
  place === null ? headers : { ...headers, [TRACE_HEADER]: defaultPayloadConverter.toPayload(place) };

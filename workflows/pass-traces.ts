import {
  defaultPayloadConverter,
  isCancellation,
  proxySinks,
  workflowInfo,
  type Sinks,
  type WorkflowInterceptors,
  type WorkflowInterceptorsFactory,
} from '@temporalio/workflow';
import { endsRun } from './run-failures.ts';
import {
  TRACE_HEADER,
  TRACED_WORKFLOWS,
  traceOfRun,
  type TracePlace,
  type TraceReports,
} from '#domain/run/trace.ts';
import { placeInHeaders } from '#temporal/trace-header.ts';

const { traces } = proxySinks<TraceReports & Sinks>();

/**
 * Hands on the place in a trace from whoever started a workflow to its activities, in a header. Without one nothing is added:
 * histories are what they are without tracing. Headers are no part of what a replay compares.
 */
export const interceptors: WorkflowInterceptorsFactory = () =>
  TRACED_WORKFLOWS.includes(workflowInfo().workflowType) ? passTrace() : {};

function passTrace(): WorkflowInterceptors {
  let startedBy: TracePlace | null = null;
  const withHeader = <Input extends { readonly headers: HeadersOf }>(input: Input): Input => {
    if (startedBy === null) return input;
    const place = defaultPayloadConverter.toPayload(traceOfRun(workflowInfo().runId, startedBy));
    return { ...input, headers: { ...input.headers, [TRACE_HEADER]: place } };
  };
  const ended = (hasFailed: boolean): void =>
    traces.ended({
      startedBy,
      startedAtMs: workflowInfo().startTime.getTime(),
      endedAtMs: Date.now(),
      hasFailed,
    });
  return {
    inbound: [
      {
        execute: async (input, next) => {
          startedBy = placeInHeaders(input.headers);
          try {
            const result = await next(input);
            ended(false);
            return result;
          } catch (error) {
            if (endsRun(error)) ended(!isCancellation(error));
            throw error;
          }
        },
      },
    ],
    outbound: [
      {
        scheduleActivity: (input, next) => next(withHeader(input)),
        scheduleLocalActivity: (input, next) => next(withHeader(input)),
      },
    ],
  };
}

type HeadersOf = Parameters<
  NonNullable<NonNullable<WorkflowInterceptors['inbound']>[number]['execute']>
>[0]['headers'];

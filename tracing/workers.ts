import type { ActivityInterceptorsFactory, InjectedSinks } from '@temporalio/worker';
import type { Sinks } from '@temporalio/workflow';
import { exportSpan, inSpan, isTracing } from './spans.ts';
import { TRACED_WORKFLOWS, traceOfRun, type TraceReports } from '#domain/run/trace.ts';
import { placeInHeaders } from '#temporal/trace-header.ts';

/** Each attempt of an activity is a span below its workflow's. None is made while tracing is off. */
export const tracedActivities = (): ActivityInterceptorsFactory[] =>
  isTracing()
    ? [
        ({ info }) => ({
          inbound: {
            execute: (input, next) => {
              const { workflowType, workflowExecution } = info;
              const runId = workflowExecution?.runId;
              if (runId === undefined || !TRACED_WORKFLOWS.includes(workflowType ?? '')) return next(input);
              return inSpan(
                () => ({
                  name: `activity ${info.activityType}`,
                  kind: 'internal',
                  attributes: {
                    ...idsOf(workflowExecution?.workflowId ?? '', runId),
                    'temporal.activity.id': info.activityId,
                    'temporal.activity.attempt': info.attempt,
                    'temporal.task_queue': info.taskQueue,
                  },
                }),
                () => next(input),
                placeInHeaders(input.headers) ?? traceOfRun(runId, null),
              );
            },
          },
        }),
      ]
    : [];

/** The span of a workflow is made when it has ended, by the worker that saw that. */
export const createTraceReports = (): InjectedSinks<TraceReports & Sinks> => ({
  traces: {
    ended: {
      fn: (
        { workflowId, runId, workflowType, taskQueue },
        { startedBy, startedAtMs, endedAtMs, hasFailed },
      ) =>
        exportSpan({
          name: `workflow ${workflowType}`,
          kind: 'internal',
          place: traceOfRun(runId, startedBy),
          parentSpanId: startedBy?.spanId ?? null,
          ...{ startedAtMs, endedAtMs },
          attributes: { ...idsOf(workflowId, runId), 'temporal.task_queue': taskQueue },
          failure: hasFailed ? 'WORKFLOW_FAILED' : null,
        }),
    },
  },
});

const idsOf = (workflowId: string, runId: string) => ({
  'temporal.workflow.id': workflowId,
  'temporal.workflow.run_id': runId,
});

import { Context, log } from '@temporalio/activity';
import { CancelledFailure } from '@temporalio/common';
import { toApplicationFailure } from './failures.ts';
import type { RetryDelay } from './failures.ts';
import { OUTSIDE_FAILURES } from './outside-failures.ts';
import { MissionError } from '../domain/errors.ts';
import { countOutsideFailure } from '../metrics/outside.ts';

const byRetryPolicy: RetryDelay = () => undefined;

/**
 * The edge between an activity's work and Temporal: errors become failures without content, cancellation stays
 * cancellation. While the work is under way it heartbeats, so that a killed worker is noticed within the heartbeat
 * timeout and a cancellation arrives.
 */
export async function runActivity<T>(
  work: (context: { readonly signal: AbortSignal; readonly attempt: number }) => Promise<T>,
  options: { readonly heartbeatEveryMs?: number; readonly retryDelay?: RetryDelay } = {},
): Promise<T> {
  const context = Context.current();
  const { attempt } = context.info;
  const timer =
    options.heartbeatEveryMs === undefined
      ? undefined
      : setInterval(() => context.heartbeat(), options.heartbeatEveryMs);
  try {
    return await work({ signal: context.cancellationSignal, attempt });
  } catch (error) {
    if (context.cancellationSignal.aborted) throw new CancelledFailure('the activity was cancelled');
    const failure = toApplicationFailure(error, attempt, options.retryDelay ?? byRetryPolicy);
    // The logger keeps type, code and place of the error; its text may quote content.
    log.warn('activity failed', { failureType: failure.type, nonRetryable: failure.nonRetryable, error });
    tellOperator(error);
    throw failure;
  } finally {
    clearInterval(timer);
  }
}

/** What no user can mend is said where an operator looks: a figure, and a line with what to do. */
function tellOperator(error: unknown): void {
  const outside = error instanceof MissionError ? OUTSIDE_FAILURES[error.code] : undefined;
  if (outside === undefined) return;
  countOutsideFailure(outside);
  const { service, reason, advice } = outside;
  if (advice !== null) log.error(advice, { service, reason });
}

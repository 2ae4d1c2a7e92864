import { Context, log } from '@temporalio/activity';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { setTimeout as delay } from 'node:timers/promises';
import { toApplicationFailure, type RetryDelay } from './failures.ts';
import { OUTSIDE_FAILURES } from './outside-failures.ts';
import { countOutsideFailure } from '#metrics/outside.ts';
import {
  countAttempts,
  isLastChance,
  isUncounted,
  noteEnd,
  waitForTurn,
  type AttemptDetails,
} from './lost-attempts.ts';
import {
  isGatewayFailure,
  MAX_LOST_ATTEMPTS,
  MissionError,
  TurnTakenError,
  WorkerLostError,
} from '#domain/base/errors.ts';
import { countLostAttempt } from '#metrics/workers.ts';
import type { RunProgress } from '#temporal/messages.ts';
import { startWork } from './work-under-way.ts';

export interface ActivityOptions {
  readonly heartbeatEveryMs?: number;
  readonly retryDelay?: RetryDelay;
  /** Not given up when its worker has died or gone silent three times: there is nobody whose run would end instead. */
  readonly isNeverGivenUp?: boolean;
  /**
   * Given where what is asked is paid for, and kept: an operator's pause lets what is under way end, this is called, and the attempt
   * after the pause finds what was kept. Others are stopped by a pause. The SDK tells an attempt of one thing only: one that is paused
   * hears of no cancellation.
   */
  readonly onPaused?: () => Promise<void>;
}

/** Where an activity of several rounds stands: what its heartbeats say. */
export type RoundProgress = Pick<RunProgress, 'round' | 'totalTokens'>;

export interface WorkContext {
  readonly signal: AbortSignal;
  readonly attempt: number;
  /** Whether it was paused, and ends what is under way alone; see `ActivityOptions.onPaused`. */
  readonly isHeld: () => boolean;
  /** For the heartbeats from now on. */
  readonly tell: (progress: RoundProgress) => void;
  /** Logs and counts a failure after which the activity all the same has a result. */
  readonly noteFailure: (error: unknown) => void;
}

const byRetryPolicy: RetryDelay = () => undefined;
/** A heartbeat leaves at once; this is for encoding it, on a busy machine as well. */
const FIRST_HEARTBEAT_MS = 1_000;
/** Half of what an attempt may be silent for: nothing is told before the turn, or that it has come would be held back (Core
 * sends the first heartbeat of an attempt at once, later ones at most every 10 s). */
const TURN_WITHIN_MS = 5_000;
const TURN_PAUSE_MS = 2_000;

/**
 * The edge between an activity's work and Temporal: errors become failures without content, cancellation stays
 * cancellation. While the work is under way it heartbeats, so that a killed worker is noticed within the heartbeat
 * timeout and a cancellation arrives; and an activity that heartbeats and has taken three workers with it is given up.
 */
export async function runActivity<T>(
  work: (context: WorkContext) => Promise<T>,
  options: ActivityOptions = {},
): Promise<T> {
  const context = Context.current();
  const { info } = context;
  const { attempt } = info;
  const endWork = startWork(info.activityType);
  const isHeld = (): boolean => options.onPaused !== undefined && isPaused(context);
  const signal = unless(isHeld, context.cancellationSignal);
  const isCounted = options.heartbeatEveryMs !== undefined && !info.isLocal;
  const { ended, lost } = isCounted ? countAttempts(info) : { ended: 0, lost: 0 };
  let giveTurnBack: (() => void) | null = null;
  let progress: RoundProgress | null = null;
  const beat = (): void =>
    context.heartbeat({
      ended,
      ...progress,
      ...(giveTurnBack === null ? {} : { lastChance: true }),
    } satisfies AttemptDetails);
  let timer: ReturnType<typeof setInterval> | undefined;
  try {
    if (lost > 0) {
      countLostAttempt(info.activityType);
      log.warn('the worker of an earlier attempt died or went silent', { attempt, lost });
    }
    if (options.isNeverGivenUp !== true) {
      if (lost >= MAX_LOST_ATTEMPTS) throw new WorkerLostError();
      giveTurnBack = isLastChance(lost)
        ? await waitForTurn(context.cancellationSignal, TURN_WITHIN_MS)
        : null;
    }
    // Before the work that may end the worker: what is known so far, and that the last chance has begun.
    if (isCounted && (isUncounted(info) || giveTurnBack !== null)) {
      beat();
      await delay(FIRST_HEARTBEAT_MS);
    }
    if (isCounted) timer = setInterval(beat, options.heartbeatEveryMs);
    const tell = (now: RoundProgress): void => {
      progress = now;
    };
    const result = await work({
      ...{ signal, attempt, isHeld, tell },
      noteFailure: (error) => note(toApplicationFailure(error, attempt, byRetryPolicy), error),
    });
    if (!isHeld()) return result;
    await options.onPaused?.();
    throw paused();
  } catch (error) {
    if (isCounted) context.heartbeat({ ended: ended + 1 } satisfies AttemptDetails);
    // As cancelled it would not take its last heartbeat along, and this attempt would count as lost.
    if (isCounted && context.cancellationDetails?.workerShutdown === true) throw workerStopping();
    if (signal.aborted) throw new CancelledFailure('the activity was cancelled');
    const failure = toApplicationFailure(error, attempt, withTurns(options.retryDelay ?? byRetryPolicy));
    note(failure, error);
    throw failure;
  } finally {
    clearInterval(timer);
    giveTurnBack?.();
    if (isCounted) noteEnd(info, ended + 1);
    endWork();
  }
}

function note(failure: ApplicationFailure, error: unknown): void {
  // The logger keeps type, code and place of the error; its text may quote content.
  log.warn('activity failed', { failureType: failure.type, nonRetryable: failure.nonRetryable, error });
  tellOperator(error);
}

/** What no user can mend is said where an operator looks: a figure, and a line with what to do. */
function tellOperator(error: unknown): void {
  if (!(error instanceof MissionError)) return;
  if (isGatewayFailure(error) && error.problem.heldBack === true) return;
  const outside = OUTSIDE_FAILURES[error.code];
  if (outside === undefined) return;
  countOutsideFailure(outside);
  if (outside.advice !== null) log.error(outside.advice, { failureType: error.code });
}

const workerStopping = (): ApplicationFailure =>
  ApplicationFailure.create({
    type: 'WORKER_STOPPING',
    message: 'the worker is stopping; another one goes on',
  });

const isPaused = ({ cancellationDetails }: Context): boolean =>
  cancellationDetails?.paused === true && !cancellationDetails.cancelRequested && !cancellationDetails.reset;

/** As a result it would have the run go on; as a failure it waits for the end of the pause. */
const paused = (): ApplicationFailure =>
  ApplicationFailure.create({ type: 'PAUSED', message: 'paused; what was asked is kept' });

/** Aborted with the given one, unless that is then `isHeld`. */
function unless(isHeld: () => boolean, signal: AbortSignal): AbortSignal {
  const ending = new AbortController();
  const follow = (): void => {
    if (!isHeld()) ending.abort(signal.reason);
  };
  if (signal.aborted) follow();
  else signal.addEventListener('abort', follow, { once: true });
  return ending.signal;
}

const withTurns =
  (retryDelay: RetryDelay): RetryDelay =>
  (error, attempt) =>
    error instanceof TurnTakenError ? TURN_PAUSE_MS : retryDelay(error, attempt);

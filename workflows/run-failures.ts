import {
  ActivityFailure,
  ApplicationFailure,
  ContinueAsNew,
  isCancellation,
  TemporalFailure,
  TimeoutFailure,
} from '@temporalio/workflow';
import { GRANT_PROBLEMS, type GatewayProblem, type GrantProblem } from '#domain/base/errors.ts';
import { toIterationId, type IterationId } from '#domain/base/ids.ts';
import type { PlanRoundResult } from '#domain/run/run.ts';
import type { RunFailure } from '#domain/wire/iteration.ts';

/** What an activity threw: a regular one's comes wrapped, a local one's comes as it is. */
export function applicationFailureOf(error: unknown): ApplicationFailure | null {
  const thrown = error instanceof ActivityFailure ? error.cause : error;
  return thrown instanceof ApplicationFailure ? thrown : null;
}

/** Anything else fails the workflow task, which is done again: the run goes on. */
export const endsRun = (error: unknown): boolean =>
  error instanceof TemporalFailure || error instanceof ContinueAsNew;

/** What the work gives, or what is made of an activity that gave up. A cancellation, and an error of ours, goes on. */
export async function orElse<T, E>(
  work: () => Promise<T>,
  givenUp: (cause: ApplicationFailure | null, failure: ActivityFailure) => E | Promise<E>,
): Promise<T | E> {
  try {
    return await work();
  } catch (error) {
    if (isCancellation(error) || !(error instanceof ActivityFailure)) throw error;
    return givenUp(applicationFailureOf(error), error);
  }
}

export interface SlotBusy {
  readonly iterationId: IterationId;
  readonly longestWaitMs: number;
}

export const slotBusyOf = (failure: ApplicationFailure): SlotBusy => {
  const [iterationId, longestWaitMs] = failure.details ?? [];
  return { iterationId: toIterationId(String(iterationId)), longestWaitMs: Number(longestWaitMs) };
};

/**
 * Whether no worker took the first attempt, in all the time that there was for the work. Of a later one the server does not
 * tell whether it waited or was under way.
 */
const neverBegan = ({ cause }: ActivityFailure): boolean =>
  cause instanceof TimeoutFailure && cause.timeoutType === 'SCHEDULE_TO_START';

/** What sealing gave up with, in the words of the iteration. */
export function sealFailure(cause: ApplicationFailure | null, failure: ActivityFailure): RunFailure {
  const phase = 'resolving-inputs';
  if (neverBegan(failure)) return { code: 'overloaded', phase };
  return { code: cause?.type === 'WORKER_LOST' ? 'worker-lost' : 'run-interrupted', phase };
}

/** What a round gave up with, in the words of the iteration. */
export function roundFailure(cause: ApplicationFailure | null, failure: ActivityFailure): RunFailure {
  const phase = 'calling-llm';
  if (neverBegan(failure)) return { code: 'overloaded', phase };
  if (cause?.type === 'GRANT_UNUSABLE') return { code: `grant-${grantProblem(cause)}`, phase };
  if (cause?.type === 'WORKER_LOST') return { code: 'worker-lost', phase };
  if (cause?.type === 'GATEWAY_REJECTED') return { code: 'gateway-rejected', phase };
  if (cause?.type === 'WINDOW_TOO_SMALL') return { code: 'window-too-small', phase };
  // No user can mend the operator's keys: to them the service is not there.
  if (cause?.type === 'GATEWAY_UNAVAILABLE' || cause?.type === 'GATEWAY_DENIED')
    return { code: hasAnswered(cause) ? 'unreadable-reply' : 'gateway-unavailable', phase };
  // Other runs of the agent held what was left of its budget for all that time.
  if (cause?.type === 'BUDGET_RESERVED') return { code: 'budget-exhausted', phase };
  return { code: 'run-interrupted', phase };
}

/** A 200 that held nothing to read: whoever is told that the service was not there would look in the wrong place. */
const hasAnswered = (failure: ApplicationFailure): boolean => {
  const problem = failure.details?.[0] as Partial<GatewayProblem> | undefined;
  return problem?.status === 200;
};

const grantProblem = (failure: ApplicationFailure): GrantProblem =>
  GRANT_PROBLEMS.find((problem) => problem === failure.details?.[0]) ?? 'unknown';

/** A round that ended without a plan, in the words of the iteration; a plan that is cut short is still one. */
export function failureOfRound(
  { status, steps }: PlanRoundResult,
  grantState: 'usable' | GrantProblem | null,
): RunFailure | null {
  const phase = 'calling-llm';
  const opening = 'resolving-inputs';
  if (status === 'key-changed') return { code: 'grant-key-changed', phase: opening };
  if (status === 'mission-empty') return { code: status, phase: opening };
  if (status === 'mission-undecryptable') {
    // Without a grant it was the lack of one: the words were in clear when the run began.
    const isGranted = grantState === 'usable' || grantState === null;
    return { code: isGranted ? status : `grant-${grantState}`, phase: opening };
  }
  if (status === 'transcript-lost' || status === 'research-wanted') return { code: 'run-interrupted', phase };
  if (status === 'content-filtered') return { code: 'content-filtered', phase };
  return status === 'budget-exhausted' && steps === 0 ? { code: 'budget-exhausted', phase } : null;
}

import { planOneRound } from './one-round.ts';
import type { RunnerDependencies } from '#activities/runner/dependencies.ts';
import { lettingGoOfPlace } from '#activities/runner/slots.ts';
import type { RetryDelay } from '#activities/failures.ts';
import { MissionError } from '#domain/base/errors.ts';
import type { PlanRoundInput, PlanRoundResult } from '#domain/run/run.ts';
import { observeRound } from '#metrics/runs.ts';

/** A call takes up to 570 s (`MANA_LLM_TIMEOUT_SECONDS`) and an attempt 600: behind this no further round is begun. */
const GOES_ON_FOR_MS = 20_000;
/** As Temporal waits before the second attempt of an activity. */
const PAUSE_MS = 1_000;
/** What all attempts of a round have (workflows/activity-policies.ts): Temporal waits for none that would come later. */
const LONGEST_PAUSE_MS = 2 * 3_600_000;

export interface RoundsContext {
  readonly signal: AbortSignal;
  readonly attempt: number;
  /** No further round is begun once it is true. */
  readonly isHeld?: () => boolean;
  /** Told before each round, for the heartbeat. */
  readonly onRound: (progress: { readonly round: number; readonly totalTokens: number }) => void;
  /** Told of a failure that is no failure of this activity. */
  readonly onFailure: (error: unknown) => void;
  readonly retryDelay: RetryDelay;
}

/**
 * Rounds one after the other in one activity: each is kept by itself, and an activity for each would cost the server six events
 * and the worker a workflow task more. Only while nothing goes wrong: an attempt after the first asks the round that it was called
 * for, and where a later round fails, the rounds before it are the result. So each failure has an activity of its own, with its
 * attempts, its hours and its count of lost workers.
 *
 * @throws as `planOneRound`
 */
export async function planRounds(
  deps: RunnerDependencies,
  input: PlanRoundInput,
  { signal, attempt, isHeld, onRound, onFailure, retryDelay }: RoundsContext,
): Promise<PlanRoundResult> {
  const begunMs = performance.now();
  const ask = async (round: number): Promise<PlanRoundResult> => {
    const askedMs = performance.now();
    try {
      return await lettingGoOfPlace(deps, input, () => planOneRound(deps, { ...input, round }, signal));
    } finally {
      observeRound(performance.now() - askedMs);
    }
  };
  const lastRound = deps.oneRoundEach === true ? input.round : (input.lastRound ?? input.round);
  onRound({ round: input.round, totalTokens: 0 });
  let asked = { ...(await ask(input.round)), round: input.round };
  const goesOn = (): boolean =>
    asked.status === 'continue' &&
    asked.compact !== true &&
    asked.round < lastRound &&
    attempt === 1 &&
    !signal.aborted &&
    isHeld?.() !== true &&
    // A worker that is to stop is waited for no longer than for a call.
    deps.isStopping?.() !== true &&
    performance.now() - begunMs < GOES_ON_FOR_MS;
  while (goesOn()) {
    const round = asked.round + 1;
    onRound({ round, totalTokens: asked.totalTokens });
    try {
      const next = await ask(round);
      asked = { ...next, round, totalTokens: asked.totalTokens + next.totalTokens };
    } catch (error) {
      // Stopped from outside: nobody waits for a result, or another worker goes on with the round. At the last moment of all
      // attempts, which has a reason of ours, the rounds before are what there is.
      if (signal.aborted && !(signal.reason instanceof MissionError)) throw error;
      onFailure(error);
      return { ...asked, ...pauseAfter(error, retryDelay) };
    }
  }
  return asked;
}

/**
 * None where asking again at once says the same, or is to come so late that no run waits for it: the next activity is there to
 * say it.
 */
function pauseAfter(error: unknown, retryDelay: RetryDelay): Pick<PlanRoundResult, 'pauseMs'> {
  const pauseMs = error instanceof MissionError ? retryDelay(error, 1) : PAUSE_MS;
  return pauseMs === undefined || pauseMs > LONGEST_PAUSE_MS ? {} : { pauseMs };
}

import {
  failureCodeIn,
  isFilled,
  isObject,
  type FailureCode,
  type PlanStep,
  type RunFailure,
  type RunningIteration,
  type ServerIteration,
  type StoredObject,
} from '#domain/wire/iteration.ts';
import type { ChangeRow } from '#domain/wire/rows.ts';
import { instantMs } from '#domain/base/instant.ts';

export const runningIteration = (run: {
  readonly iterationId: string;
  readonly startedAtIso: string;
  readonly phaseStartedAtIso: string;
}): RunningIteration => ({
  id: run.iterationId,
  startedAt: run.startedAtIso,
  plan: [],
  overallStatus: 'running',
  source: 'server',
  currentPhase: 'resolving-inputs',
  phaseStartedAt: run.phaseStartedAtIso,
});

interface IterationTimes {
  readonly iterationId: string;
  readonly startedAtIso: string;
  readonly finishedAtIso: string;
}

/** A plan for the user to review; without steps there is nothing to review, so it counts as approved. */
export function plannedIteration(
  times: IterationTimes,
  steps: readonly PlanStep[],
  summary: string,
): ServerIteration {
  return {
    id: times.iterationId,
    startedAt: times.startedAtIso,
    finishedAt: times.finishedAtIso,
    summary,
    plan: steps,
    overallStatus: steps.length === 0 ? 'approved' : 'awaiting-review',
    source: 'server',
  };
}

/** @param message tells the user why, and what to do */
export function failedIteration(
  times: IterationTimes,
  failure: RunFailure,
  message: string,
): ServerIteration {
  return {
    id: times.iterationId,
    startedAt: times.startedAtIso,
    finishedAt: times.finishedAtIso,
    summary: message,
    plan: [],
    overallStatus: 'failed',
    source: 'server',
    errorDetails: { name: failure.code, message, phase: failure.phase },
  };
}

/** Nothing went wrong, and nothing was planned: the summary says why. */
export const endedIteration = (times: IterationTimes, summary: string): ServerIteration =>
  plannedIteration(times, [], summary);

/** When an iteration of this id began, as it stands; null where there is none. */
export function startOfIteration(stored: unknown, iterationId: string): string | null {
  const startedAt = acceptableIterations(stored).find(({ id }) => id === iterationId)?.['startedAt'];
  return typeof startedAt === 'string' ? startedAt : null;
}

/** A tab plans for 180 s at most (docs/platform.md section 2); one that was closed meanwhile says nothing more. */
const BROWSER_RUN_MS = 5 * 60_000;

/**
 * Whether a browser has taken an instant: an iteration of its own that began at or after it and is finished, or has been
 * running for less than five minutes. A start that lies ahead of our clock by more than that is of no clock that counts.
 */
export const ranElsewhere = (stored: unknown, dueAtMs: number, nowMs: number): boolean =>
  acceptableIterations(stored).some((iteration) => {
    const startMs = instantMs(iteration['startedAt']);
    return (
      iteration['source'] !== 'server' &&
      startMs !== null &&
      startMs >= dueAtMs &&
      startMs < nowMs + BROWSER_RUN_MS &&
      (iteration['overallStatus'] !== 'running' || nowMs - startMs < BROWSER_RUN_MS)
    );
  });

/**
 * The array to write back: what stands there now, plus ours. An entry without a `plan` array would stop the pick-up of
 * all missions on the device (docs/platform.md section 2), so none leaves here, whoever wrote it; everything else about other
 * entries stays as it is, and feedback on ours stays on ours. Repeating the same failure replaces our last failed iteration instead of adding one.
 */
export function withIteration(stored: unknown, added: ServerIteration | RunningIteration): StoredObject[] {
  const all = acceptableIterations(stored);
  const current = all.filter((iteration) => iteration['id'] !== added.id);
  const feedback = all.findLast(({ id }) => id === added.id)?.['userFeedback'];
  const last = current.at(-1);
  const kept = last !== undefined && repeatsFailure(last, added) ? current.slice(0, -1) : current;
  return [...kept, { ...added, ...(isFilled(feedback) ? { userFeedback: feedback } : {}) }];
}

const repeatsFailure = (last: StoredObject, added: ServerIteration | RunningIteration): boolean =>
  'errorDetails' in added &&
  last['source'] === 'server' &&
  last['overallStatus'] === 'failed' &&
  // What the user said about it must not be lost with it.
  (last['userFeedback'] ?? null) === null &&
  isObject(last['errorDetails']) &&
  last['errorDetails']['name'] === added.errorDetails.name;

/** Reads a stored `iterations` value; never throws. */
export function acceptableIterations(stored: unknown): StoredObject[] {
  if (!Array.isArray(stored)) return [];
  return stored
    .filter(isObject)
    .map((iteration) => (Array.isArray(iteration['plan']) ? iteration : { ...iteration, plan: [] }));
}

/** The iterations that one change row writes; none for a row of something else. */
export const iterationsOfChange = (row: ChangeRow): StoredObject[] =>
  isObject(row.data) ? acceptableIterations(row.data['iterations']) : [];

/** What a run came to, read back from the iteration that it wrote. */
export function resultOfIteration(iteration: StoredObject): {
  readonly outcome: 'planned' | 'empty-plan' | 'failed';
  readonly steps: number;
  readonly failureCode: FailureCode | null;
} {
  const plan = iteration['plan'];
  const steps = Array.isArray(plan) ? plan.length : 0;
  if (iteration['overallStatus'] !== 'failed') {
    return { outcome: steps === 0 ? 'empty-plan' : 'planned', steps, failureCode: null };
  }
  return { outcome: 'failed', steps, failureCode: failureCodeIn(iteration) };
}

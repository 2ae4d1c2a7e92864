import { setTimeout as delay } from 'node:timers/promises';
import { applySchedules } from './apply-schedules.ts';
import type { ProjectionDependencies } from './dependencies.ts';
import { projectChanges } from './project-changes.ts';
import { startPassed } from './start-passed.ts';
import { countPendingMissions } from '#db/schedule-state.ts';
import type { ProjectionPassResult } from '#domain/projection/pass-results.ts';

/** A log that grows all the time, or a first build of all missions, must not keep the pass from its end. */
const LONGEST_PROJECTION_MS = 10_000;
const LONGEST_APPLICATION_MS = 10_000;
/** The follower holds the cursor for as long as one page takes. */
const CURSOR_TAKEN_PAUSE_MS = 25;

/**
 * A pass now: takes in all rows that were visible before the call, applies what is pending, and starts what is due and has
 * no open run. The counts are of this pass alone; the follower may have done a part meanwhile.
 */
export async function runPass(
  deps: ProjectionDependencies,
  signal: AbortSignal,
): Promise<ProjectionPassResult> {
  const { changes, records } = await projectAll(deps, signal);
  // First, for applying starts what is pending: behind it, an instant whose run is over by then would be started once more.
  const startedLate = await startPassed(deps, 0, signal);
  const until = AbortSignal.any([signal, AbortSignal.timeout(LONGEST_APPLICATION_MS)]);
  const applied = await applySchedules(deps, until);
  signal.throwIfAborted();
  const pending = await countPendingMissions(deps.database.system);
  return { changes, records, schedules: applied.changed, started: applied.started + startedLate, pending };
}

/** Until a pass of our own, under the cursor's lock, finds nothing more. */
async function projectAll(
  deps: ProjectionDependencies,
  signal: AbortSignal,
): Promise<{ readonly changes: number; readonly records: number }> {
  const endMs = performance.now() + LONGEST_PROJECTION_MS;
  let changes = 0;
  let records = 0;
  while (!signal.aborted && performance.now() < endMs) {
    const pass = await projectChanges(deps);
    changes += pass.changes;
    records += pass.records;
    if (!pass.projected) await delay(CURSOR_TAKEN_PAUSE_MS);
    else if (pass.changes === 0) break;
  }
  return { changes, records };
}

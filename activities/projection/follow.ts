import { setTimeout as delay } from 'node:timers/promises';
import { applySchedules, startOverdue } from './apply-schedules.ts';
import type { ProjectionDependencies } from './dependencies.ts';
import { logAuditHeads } from './log-audit-heads.ts';
import { projectChanges } from './project-changes.ts';

/** An activity of this length, then a new run of the workflow: its history stays short (architecture section 5). */
const FOLLOW_MS = 5 * 60_000;
const PAUSE_MS = 500;

/** What one activity did, shown in the Temporal UI. */
export interface FollowResult {
  readonly passes: number;
  readonly changes: number;
  readonly schedules: number;
  readonly overdueStarted: number;
}

/** Projects and applies, pass after pass, for five minutes or until the signal. */
export async function followChangeLog(
  deps: ProjectionDependencies,
  signal: AbortSignal,
): Promise<FollowResult> {
  const endMs = Date.now() + FOLLOW_MS;
  const overdueStarted = await startOverdue(deps);
  await tryLogAuditHeads(deps, signal);
  let passes = 0;
  let changes = 0;
  let schedules = 0;
  while (!signal.aborted && Date.now() < endMs) {
    const pass = await projectChanges(deps);
    schedules += await applySchedules(deps, signal);
    passes += 1;
    changes += pass.changes;
    // The next page of a backlog waits for nothing.
    if (pass.changes === 0) await pause(signal);
  }
  signal.throwIfAborted();
  return { passes, changes, schedules, overdueStarted };
}

/** Schedules must not wait for the audit: what could not be logged is logged at the next start. */
async function tryLogAuditHeads(deps: ProjectionDependencies, signal: AbortSignal): Promise<void> {
  try {
    await logAuditHeads(deps, signal);
  } catch (error) {
    const name = error instanceof Error ? error.name : typeof error;
    deps.log.warn('audit heads not logged; it is tried again', { error: name });
  }
}

async function pause(signal: AbortSignal): Promise<void> {
  try {
    await delay(PAUSE_MS, undefined, { signal });
  } catch {
    // Aborted: the loop looks at the signal next.
  }
}

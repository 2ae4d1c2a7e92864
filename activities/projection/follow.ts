import { setTimeout as delay } from 'node:timers/promises';
import { applySchedules } from './apply-schedules.ts';
import type { ProjectionDependencies } from './dependencies.ts';
import { createBell, type Bell } from './bell.ts';
import { logAuditHeads } from './log-audit-heads.ts';
import { createLook, type WorkFound } from './look.ts';
import { takeInChanges } from './project-changes.ts';
import { startHealings } from './start-healings.ts';
import { countPass } from '#metrics/projection.ts';
import { OVERDUE_MS, startLateSeen, startPassed } from './start-passed.ts';

/** An activity of this length, then a new run of the workflow: its history stays short (docs/architecture.md section 5). */
const FOLLOW_MS = 5 * 60_000;
/** Behind what was to be done, and was not: of a record that fails, or a schedule that was postponed. */
const VAIN_PAUSE_MS = 500;
/** A longer read-back, which comes as time goes by: no look sees that. */
const ROUND_MS = 30_000;
/** Between two looks at missions whose instants have passed, while there are some. */
const LATE_PAUSE_MS = 2_000;
/** A server that is down is not asked as often. */
const UNAVAILABLE_PAUSE_MS = 2_000;

/** What one activity did, shown in the Temporal UI. */
export interface FollowResult {
  readonly passes: number;
  readonly changes: number;
  readonly schedules: number;
  readonly overdueStarted: number;
  readonly lateSeenStarted: number;
}

/**
 * Projects the change log, applies the schedules and starts healings for five minutes or until the signal. All of it goes on
 * side by side: neither a burst of schedules nor a Temporal that does not answer keeps the log waiting.
 */
export async function followChangeLog(
  deps: ProjectionDependencies,
  signal: AbortSignal,
): Promise<FollowResult> {
  const failed = new AbortController();
  const until = AbortSignal.any([signal, failed.signal, AbortSignal.timeout(FOLLOW_MS)]);
  const bells = {
    rows: createBell(),
    schedules: createBell(),
    healings: createBell(),
    lateSeen: createBell(),
  };
  const loops = [
    followLog(deps, until, bells),
    keepSchedules(deps, until, bells.schedules),
    startPassed(deps, OVERDUE_MS, until),
    keepLooking(deps, until, bells.lateSeen),
    tryLogAuditHeads(deps, until),
    watch(deps, until, bells),
    keepHealing(deps, until, bells.healings),
  ] as const;
  try {
    const [{ passes, changes }, schedules, overdueStarted, lateSeenStarted] = await Promise.all(loops);
    signal.throwIfAborted();
    return { passes, changes, schedules, overdueStarted, lateSeenStarted };
  } finally {
    // One that fails ends the others; none of them may outlive the activity.
    failed.abort();
    await Promise.allSettled(loops);
  }
}

type Bells = Readonly<Record<keyof WorkFound, Bell>>;

/** Wakes the loops that have something to do. */
async function watch(deps: ProjectionDependencies, until: AbortSignal, bells: Bells): Promise<void> {
  const look = createLook(deps.database);
  while (!until.aborted) {
    const { found, againInMs } = await look();
    if (found.rows) bells.rows.ring();
    if (found.schedules) bells.schedules.ring();
    if (found.healings) bells.healings.ring();
    if (found.lateSeen) bells.lateSeen.ring();
    await pause(againInMs, until);
  }
}

async function followLog(
  deps: ProjectionDependencies,
  until: AbortSignal,
  bells: Bells,
): Promise<{ readonly passes: number; readonly changes: number }> {
  let passes = 0;
  let changes = 0;
  let wasRung = false;
  while (!until.aborted) {
    const pass = await takeInChanges(deps);
    passes += 1;
    if (pass.projected) countPass();
    changes += pass.changes;
    if (pass.changes > 0) {
      bells.schedules.ring();
      bells.healings.ring();
      // The next page of a backlog waits for nothing.
      wasRung = false;
      continue;
    }
    if (wasRung) await pause(VAIN_PAUSE_MS, until);
    wasRung = await bells.rows.wait(ROUND_MS, until);
  }
  return { passes, changes };
}

async function keepSchedules(deps: ProjectionDependencies, until: AbortSignal, bell: Bell): Promise<number> {
  let schedules = 0;
  let wasRung = false;
  while (!until.aborted) {
    const { applied, isUnavailable } = await applySchedules(deps, until);
    schedules += applied;
    if (isUnavailable) await pause(UNAVAILABLE_PAUSE_MS, until);
    else if (wasRung && applied === 0) await pause(VAIN_PAUSE_MS, until);
    wasRung = await bell.wait(FOLLOW_MS, until);
  }
  return schedules;
}

async function keepHealing(deps: ProjectionDependencies, until: AbortSignal, bell: Bell): Promise<void> {
  while (!until.aborted) {
    await startHealings(deps, until);
    await bell.wait(FOLLOW_MS, until);
  }
}

async function keepLooking(deps: ProjectionDependencies, until: AbortSignal, bell: Bell): Promise<number> {
  let started = 0;
  while (!until.aborted) {
    started += await startLateSeen(deps, until);
    await pause(LATE_PAUSE_MS, until);
    await bell.wait(FOLLOW_MS, until);
  }
  return started;
}

/** Nothing waits for the audit: what could not be logged is logged at the next start. */
async function tryLogAuditHeads(deps: ProjectionDependencies, signal: AbortSignal): Promise<void> {
  try {
    await logAuditHeads(deps, signal);
  } catch (error) {
    deps.log.warn('audit heads not logged; it is tried again', { error });
  }
}

async function pause(pauseMs: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(pauseMs, undefined, { signal });
  } catch {
    // Aborted: the loop looks at the signal next.
  }
}

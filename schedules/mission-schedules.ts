import {
  ScheduleAlreadyRunning,
  ScheduleNotFoundError,
  WorkflowExecutionAlreadyStartedError,
} from '@temporalio/client';
import type { Client } from '@temporalio/client';
import { setTimeout as delay } from 'node:timers/promises';
import { withCallDeadline } from '../temporal/connection.ts';
import { MISSION_SEARCH_ATTRIBUTES } from '../temporal/search-attributes.ts';
import { MISSION_RUN_WORKFLOW_TYPE } from '../workflows/messages.ts';
import type { MissionRunInput, RunTrigger } from '../workflows/messages.ts';
import { dueWorkflowId, missionScheduleId } from './schedule-ids.ts';
import { runSearchAttributes, scheduleHash, toScheduleRequest } from './schedule-request.ts';
import type { MissionScheduleTarget, ScheduleSettings } from './schedule-request.ts';
import { describeSchedule, sendUpdate, wantedState } from './schedule-update.ts';

/** The server's own downtime only; a passed instant is started by `startDue` (architecture section 5). */
const DEFAULT_CATCHUP_WINDOW_MS = 600_000;
const MAX_ATTEMPTS = 8;
const LONGEST_PAUSE_MS = 200;
/** Schedules of others in the same namespace have no hash of ours. */
const OUR_SCHEDULES = `${MISSION_SEARCH_ATTRIBUTES.specHash.name} IS NOT NULL`;

export interface MissionSchedule extends MissionScheduleTarget {
  /** Whether we want the schedule paused; one that an operator paused stays so. */
  readonly paused: boolean;
}

/** A schedule as visibility shows it: a moment late, and ids longer than 255 characters are cut. */
export interface ListedSchedule {
  /** See `missionScheduleId`: the sure way to find the mission. */
  readonly scheduleId: string;
  readonly userId: string;
  readonly missionId: string;
  readonly specHash: string;
  readonly paused: boolean;
}

export interface DueRun {
  readonly userId: string;
  readonly missionId: string;
  readonly agentId: string | null;
  /** `nextRunAt` in epoch milliseconds. */
  readonly instantMs: number;
  readonly trigger: Exclude<RunTrigger, 'schedule'>;
}

/** Somebody else kept changing the same schedule; trying again later is fine. */
export class ScheduleConflictError extends Error {
  override readonly name = 'ScheduleConflictError';
  readonly scheduleId: string;
  constructor(scheduleId: string) {
    super(`schedule: ${MAX_ATTEMPTS} attempts to write it met other changes; try again`);
    this.scheduleId = scheduleId;
  }
}

export type MissionSchedules = ReturnType<typeof createMissionSchedules>;

/** The Temporal Schedules of missions: at most one per mission, id `mission:<userId>:<missionId>`. */
export function createMissionSchedules(options: {
  readonly client: Client;
  /** Where runs are started. */
  readonly taskQueue: string;
  readonly catchupWindowMs?: number;
}) {
  const { client, taskQueue, catchupWindowMs = DEFAULT_CATCHUP_WINDOW_MS } = options;
  const settings: ScheduleSettings = { taskQueue, catchupWindowMs };

  return {
    ensure: (schedule: MissionSchedule) => ensureSchedule(client, settings, schedule),
    /** What `ensure` stores and `list` gives as `specHash`: they differ when the schedule is out of date. */
    hashOf: (target: MissionScheduleTarget): string => scheduleHash(target, settings),
    remove: (userId: string, missionId: string) =>
      removeSchedule(client, missionScheduleId(userId, missionId)),
    /** Whether anybody paused the mission's schedule; false if there is none. */
    isPaused: (userId: string, missionId: string) => isPaused(client, missionScheduleId(userId, missionId)),
    list: () => listSchedules(client),
    startDue: (run: DueRun) => startDue(client, taskQueue, run),
  };
}

/**
 * Creates the schedule or brings it up to date.
 *
 * The server drops an update whose conflict token is out of date, and says so or not (older schedulers don't): so each
 * update is followed by another look, until the schedule is seen as wanted.
 *
 * @throws ScheduleConflictError; gRPC errors of the SDK
 */
async function ensureSchedule(
  client: Client,
  settings: ScheduleSettings,
  schedule: MissionSchedule,
): Promise<'created' | 'updated' | 'unchanged'> {
  const scheduleId = missionScheduleId(schedule.userId, schedule.missionId);
  const request = toScheduleRequest(schedule, settings);
  const hash = scheduleHash(schedule, settings);
  let sent = false;
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
    if (attempt > 1) await delay(Math.random() * LONGEST_PAUSE_MS);
    const present = await describeSchedule(client, scheduleId);
    if (present === null) {
      const state = wantedState(null, schedule.paused);
      if (await createSchedule(client, { ...request, scheduleId, state })) return 'created';
      continue;
    }
    const state = wantedState(present.state, schedule.paused);
    if (present.hash === hash && present.state.paused === state.paused) return sent ? 'updated' : 'unchanged';
    await sendUpdate(client, { scheduleId, request, present, state });
    sent = true;
  }
  throw new ScheduleConflictError(scheduleId);
}

/** @returns false if it exists already */
async function createSchedule(
  client: Client,
  options: Parameters<Client['schedule']['create']>[0],
): Promise<boolean> {
  try {
    await withCallDeadline(client.connection, () => client.schedule.create(options));
    return true;
  } catch (error) {
    if (error instanceof ScheduleAlreadyRunning) return false;
    throw error;
  }
}

async function isPaused(client: Client, scheduleId: string): Promise<boolean> {
  return (await describeSchedule(client, scheduleId))?.state.paused ?? false;
}

/** @returns false if there was none */
async function removeSchedule(client: Client, scheduleId: string): Promise<boolean> {
  try {
    await withCallDeadline(client.connection, () => client.schedule.getHandle(scheduleId).delete());
    return true;
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) return false;
    throw error;
  }
}

async function* listSchedules(client: Client): AsyncGenerator<ListedSchedule, void, undefined> {
  const pages = client.schedule.list({ query: OUR_SCHEDULES })[Symbol.asyncIterator]();
  for (;;) {
    const next = await withCallDeadline(client.connection, () => pages.next());
    if (next.done === true) return;
    const { scheduleId, typedSearchAttributes: attributes, state } = next.value;
    const userId = attributes?.get(MISSION_SEARCH_ATTRIBUTES.userId);
    const missionId = attributes?.get(MISSION_SEARCH_ATTRIBUTES.missionId);
    const specHash = attributes?.get(MISSION_SEARCH_ATTRIBUTES.specHash);
    if (userId === undefined || missionId === undefined || specHash === undefined) continue;
    yield { scheduleId, userId, missionId, specHash, paused: state.paused };
  }
}

/**
 * Starts the run of an instant that has passed or that the user asked for. The same instant has one run at a time; a
 * second one after it has ended finds the mission no longer due.
 */
async function startDue(
  client: Client,
  taskQueue: string,
  run: DueRun,
): Promise<'started' | 'already-started'> {
  const { userId, missionId, instantMs, trigger } = run;
  try {
    await withCallDeadline(client.connection, () =>
      client.workflow.start(MISSION_RUN_WORKFLOW_TYPE, {
        workflowId: dueWorkflowId(userId, missionId, instantMs),
        taskQueue,
        args: [{ userId, missionId, trigger } satisfies MissionRunInput],
        typedSearchAttributes: runSearchAttributes(run, trigger),
        workflowIdReusePolicy: 'ALLOW_DUPLICATE',
        // Like USE_EXISTING, the open run goes on; but that would not tell us that there was one.
        workflowIdConflictPolicy: 'FAIL',
      }),
    );
    return 'started';
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return 'already-started';
    throw error;
  }
}

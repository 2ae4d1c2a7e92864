import {
  ScheduleAlreadyRunning,
  WorkflowExecutionAlreadyStartedError,
  type Client,
  type ScheduleOptions,
  type ScheduleSummary,
} from '@temporalio/client';
import { OwnError } from '#domain/base/errors.ts';
import { setTimeout as delay } from 'node:timers/promises';
import { fairnessKeyOf } from '#domain/run/fairness.ts';
import { withCallDeadline } from '#temporal/connection.ts';
import { clientsInTurn, findIn, namespacesOf, type Clients } from '#temporal/namespaces.ts';
import { primaryKeyIdOf } from '#temporal/payload-codec.ts';
import { MISSION_SEARCH_ATTRIBUTES } from '#temporal/search-attributes.ts';
import { MISSION_RUN_WORKFLOW_TYPE, type MissionRunInput } from '#temporal/messages.ts';
import { dueWorkflowId, missionScheduleId } from './schedule-ids.ts';
import {
  codecKeyIdOf,
  differOnlyByKey,
  runSearchAttributes,
  scheduleHash,
  toScheduleRequest,
  type MissionScheduleTarget,
  type ScheduleSettings,
  sentSpecDigest,
  shownSpecDigest,
} from './schedule-request.ts';
import {
  deleteSchedule,
  describeSchedule,
  sendUpdate,
  type PauseState,
  type PresentSchedule,
} from './schedule-update.ts';
import { createServerZones } from './server-zones.ts';

/** The server's own downtime only; a passed instant is started by `startDue` (docs/architecture.md section 5). */
const DEFAULT_CATCHUP_WINDOW_MS = 600_000;
/** Between two updates of ours are two looks. */
const MAX_LOOKS = 16;
/** Times the number of looks: several writers of one schedule must get out of each other's way. */
const LONGEST_PAUSE_MS = 50;
/** Schedules of others in the same namespace name no mission. */
const OUR_SCHEDULES = `${MISSION_SEARCH_ATTRIBUTES.missionId.name} IS NOT NULL`;
/** As many as the server gives at once. */
const LIST_PAGE_SIZE = 1_000;

/** A schedule as visibility shows it: a moment late, and ids longer than 255 characters are cut. */
export interface ListedSchedule {
  readonly namespace: string;
  /** See `missionScheduleId`: the sure way to find the mission. */
  readonly scheduleId: string;
  readonly userId: string;
  readonly missionId: string;
  /** What was sent and what stands there now: compare with `fingerprintOf`. */
  readonly fingerprint: string;
  /** Whether its input is under the codec key that encrypts now. */
  readonly isUnderFirstKey: boolean;
  readonly paused: boolean;
}

/**
 * `reencrypted`: as wanted, but its input was under another codec key, or by a version that did not note the key. `moved`: made
 * in its user's namespace, and removed from another.
 */
export type ScheduleChange = 'created' | 'updated' | 'reencrypted' | 'moved' | 'unchanged';

export interface EnsureOptions {
  /** Asked right before a schedule is created; nothing is created where it says no. */
  readonly mayCreate?: () => Promise<boolean>;
  /** Whether it most likely has none: then it is not looked for first, which spares a call. It may have one all the same. */
  readonly isFirst?: boolean;
}

export interface DueRun {
  readonly userId: string;
  readonly missionId: string;
  readonly agentId: string | null;
  /** `nextRunAt` in epoch milliseconds. */
  readonly instantMs: number;
}

/** Somebody else kept changing the same schedule; trying again later is fine. */
class ScheduleConflictError extends OwnError {
  override readonly name = 'ScheduleConflictError';
  readonly scheduleId: string;
  constructor(scheduleId: string) {
    super(`schedule: after ${MAX_LOOKS} looks it still meets other changes; try again`);
    this.scheduleId = scheduleId;
  }
}

export type MissionSchedules = ReturnType<typeof createMissionSchedules>;

/**
 * The Temporal Schedules of missions: at most one per mission, id `mission:<userId>:<missionId>`, in its user's namespace; in
 * another until it is moved.
 */
export function createMissionSchedules(options: {
  readonly client: Clients;
  /** Where runs are started. */
  readonly taskQueue: string;
  readonly catchupWindowMs?: number;
}) {
  const { taskQueue, catchupWindowMs = DEFAULT_CATCHUP_WINDOW_MS } = options;
  const clients = namespacesOf(options.client);
  const codecKeyId = primaryKeyIdOf(clients.home.options.loadedDataConverter);
  const find = (userId: string, missionId: string): Promise<PresentSchedule | null> =>
    findIn(clientsInTurn(clients, userId), (client) =>
      describeSchedule(client, missionScheduleId(userId, missionId)),
    );
  const settings: ScheduleSettings = { taskQueue, catchupWindowMs, codecKeyId };

  return {
    /** An operator's pause stays. @returns null where `mayCreate` said no */
    ensure: (schedule: MissionScheduleTarget, ensureOptions: EnsureOptions = {}) =>
      ensureSchedule(clientsInTurn(clients, schedule.userId), settings, schedule, ensureOptions),
    /** Of the service. */
    namespaces: clients.all.map(({ options: { namespace } }) => namespace),
    /** Where a user's schedules belong. */
    namespaceOf: (userId: string): string => clients.ofUser(userId).options.namespace,
    /** What `list` gives for a schedule that `ensure` made and that nobody edited by hand. */
    fingerprintOf: (target: MissionScheduleTarget): string => fingerprintOf(target, settings),
    /** From all namespaces; false if there was none. */
    remove: (userId: string, missionId: string) =>
      deleteFrom(clients.all, missionScheduleId(userId, missionId)),
    /** Removes a schedule that is no mission's (any more); false if there was none. */
    removeById: ({ namespace, scheduleId }: Pick<ListedSchedule, 'namespace' | 'scheduleId'>) =>
      deleteFrom(
        clients.all.filter(({ options: { namespace: name } }) => name === namespace),
        scheduleId,
      ),
    /** Null if the mission has no schedule. */
    pauseOf: async (userId: string, missionId: string): Promise<PauseState | null> =>
      (await find(userId, missionId))?.state ?? null,
    /** Whether a direct start would go round a pause, or double a run that the schedule has started. */
    holdsBack: async (userId: string, missionId: string): Promise<boolean> => {
      const present = await find(userId, missionId);
      return present !== null && (present.state.paused || present.openRuns > 0);
    },
    /** Those of one namespace after those of the other. */
    list: async function* (): AsyncGenerator<ListedSchedule, void, undefined> {
      for (const client of clients.all) yield* listSchedules(client, codecKeyId);
    },
    /** Whether the server's calendars follow a zone as we do: see `createServerZones`. */
    followsZone: createServerZones(clients.home),
    startDue: (run: DueRun) => startDue(clients.ofUser(run.userId), taskQueue, run),
  };
}

/** @returns whether one of them had it */
async function deleteFrom(clients: readonly Client[], scheduleId: string): Promise<boolean> {
  const deleted = await Promise.all(clients.map((client) => deleteSchedule(client, scheduleId)));
  return deleted.includes(true);
}

/**
 * Creates the schedule or brings it up to date, in the first namespace; from the others it is moved there. One whose input is under
 * another codec key is made anew, and stays paused if it was.
 *
 * The server drops an update whose conflict token is out of date, and says so or not (older schedulers don't): so each
 * update is followed by another look, until the schedule is seen as wanted.
 *
 * @throws ScheduleConflictError; gRPC errors of the SDK
 */
async function ensureSchedule(
  [client, ...elsewhere]: readonly Client[],
  settings: ScheduleSettings,
  schedule: MissionScheduleTarget,
  { mayCreate = () => Promise.resolve(true), isFirst = false }: EnsureOptions,
): Promise<ScheduleChange | null> {
  if (client === undefined) throw new TypeError('schedule: found no namespace');
  const scheduleId = missionScheduleId(schedule.userId, schedule.missionId);
  const request = toScheduleRequest(schedule, settings);
  let sent: 'updated' | 'reencrypted' | null = null;
  let isJustSent = false;
  let replaced: PresentSchedule | null = null;
  for (let look = 0; look < MAX_LOOKS; look += 1) {
    // The server creates no second one, whatever we know.
    const present = isFirst && look === 0 ? null : await describeSchedule(client, scheduleId);
    if (present === null) {
      const left = replaced ?? (await findIn(elsewhere, (other) => describeSchedule(other, scheduleId)));
      // Never two that fire, and no moment in which a pause is forgotten.
      if (left?.state.paused === false) await deleteFrom(elsewhere, scheduleId);
      if (!(await mayCreate())) return null;
      const isMade = await createSchedule(client, { ...request, scheduleId, ...pausedLike(left) });
      if (left?.state.paused === true) await deleteFrom(elsewhere, scheduleId);
      if (isMade) return sent ?? (left === null ? 'created' : 'moved');
      continue;
    }
    const hash = scheduleHash(schedule, settings);
    const isSpecAsWanted = present.specDigest === sentSpecDigest(request.spec);
    // What the next update, or making it anew, meets first; what comes after that only repeats it.
    const met = isSpecAsWanted && differOnlyByKey(present.hash ?? '', hash) ? 'reencrypted' : 'updated';
    if (codecKeyIdOf(present.hash ?? '') !== settings.codecKeyId) {
      // The server hands the result of a schedule's last run to the next one, under the key of then, and no update takes it away.
      sent ??= met;
      replaced = present;
      await deleteSchedule(client, scheduleId);
      continue;
    }
    const isAsSent = present.hash === hash && (sent !== null || isSpecAsWanted);
    if (isAsSent) return sent ?? 'unchanged';
    if (isJustSent) {
      // Others write it as well. Waiting before the next update, not after it, lets one of us see its own.
      isJustSent = false;
      await delay(Math.random() * LONGEST_PAUSE_MS * look);
      continue;
    }
    await sendUpdate(client, { scheduleId, request, present });
    sent ??= met;
    isJustSent = true;
  }
  throw new ScheduleConflictError(scheduleId);
}

const pausedLike = (left: PresentSchedule | null): Pick<ScheduleOptions, 'state'> =>
  left?.state.paused === true ? { state: { paused: true, note: left.state.note } } : {};

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

async function* listSchedules(
  client: Client,
  codecKeyId: string | null,
): AsyncGenerator<ListedSchedule, void, undefined> {
  const query = { query: OUR_SCHEDULES, pageSize: LIST_PAGE_SIZE };
  const pages = client.schedule.list(query)[Symbol.asyncIterator]();
  for (;;) {
    const next = await withCallDeadline(client.connection, () => pages.next());
    if (next.done === true) return;
    const found = listed(next.value, codecKeyId);
    if (found !== null) yield { namespace: client.options.namespace, ...found };
  }
}

function listed(
  summary: ScheduleSummary,
  codecKeyId: string | null,
): Omit<ListedSchedule, 'namespace'> | null {
  const { scheduleId, typedSearchAttributes: attributes, state, spec = {}, action } = summary;
  const userId = attributes?.get(MISSION_SEARCH_ATTRIBUTES.userId);
  const missionId = attributes?.get(MISSION_SEARCH_ATTRIBUTES.missionId);
  if (userId === undefined || missionId === undefined) return null;
  const specHash = attributes?.get(MISSION_SEARCH_ATTRIBUTES.specHash) ?? '';
  const fingerprint = joined(specHash, shownSpecDigest(spec), action?.workflowType ?? '');
  const isUnderFirstKey = codecKeyIdOf(specHash) === codecKeyId;
  return { scheduleId, userId, missionId, fingerprint, isUnderFirstKey, paused: state.paused };
}

const joined = (hash: string, specDigest: string, workflowType: string): string =>
  `${hash}:${specDigest}:${workflowType}`;

const fingerprintOf = (target: MissionScheduleTarget, settings: ScheduleSettings): string =>
  joined(
    scheduleHash(target, settings),
    sentSpecDigest(toScheduleRequest(target, settings).spec),
    MISSION_RUN_WORKFLOW_TYPE,
  );

/**
 * Starts the run of an instant that has passed or that the user asked for. The same instant has one run at a time; a
 * second one after it has ended finds the mission no longer due.
 */
async function startDue(
  client: Client,
  taskQueue: string,
  run: DueRun,
): Promise<'started' | 'already-started'> {
  const { userId, missionId, instantMs } = run;
  try {
    await withCallDeadline(client.connection, () =>
      client.workflow.start(MISSION_RUN_WORKFLOW_TYPE, {
        workflowId: dueWorkflowId(userId, missionId, instantMs),
        taskQueue,
        args: [{ userId, missionId, trigger: 'projection' } satisfies MissionRunInput],
        typedSearchAttributes: runSearchAttributes(run, 'projection'),
        priority: { fairnessKey: fairnessKeyOf(userId) },
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

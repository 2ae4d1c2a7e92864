import { WorkflowExecutionAlreadyStartedError, WorkflowNotFoundError, type Client } from '@temporalio/client';
import { decodeOptionalSinglePayload } from '@temporalio/common/lib/internal-non-workflow/codec-helpers.js';
import { executionInfoFromRaw } from '@temporalio/client/lib/helpers.js';
import { setTimeout as delay } from 'node:timers/promises';
import pLimit from 'p-limit';
import { TemporalUnavailableError } from '#domain/base/errors.ts';
import { fairnessKeyOf } from '#domain/run/fairness.ts';
import type { MissionRunResult } from '#domain/run/run.ts';
import { askTemporal, isNoAnswer } from '#temporal/ask-temporal.ts';
import {
  MISSION_RUN_WORKFLOW_TYPE,
  runProgressQuery,
  type MissionRunInput,
  type RunProgress,
} from '#temporal/messages.ts';
import {
  clientsInTurn,
  findIn,
  namespacesOf,
  type Clients,
  type NamespaceClients,
} from '#temporal/namespaces.ts';
import { cancelRun } from './cancel-run.ts';
import { toMissionRun, type ExecutionRef, type MissionRun } from './run-execution.ts';
import { missionRunsQuery, openMissionRunsQuery, runQuery } from './run-queries.ts';
import { nowWorkflowId } from '#schedules/schedule-ids.ts';
import { runSearchAttributes } from '#schedules/schedule-request.ts';

/** Closed runs whose result is read at once. */
const CONCURRENCY = 8;
/** A query waits for a worker; the phase is not worth more. */
const PROGRESS_WITHIN_MS = 2_000;
/** Visibility is a moment late: whoever has just started a run may ask for it at once. */
const LOOKS = 5;
const LOOK_EVERY_MS = 200;
/** More than one is open only if several were started before any claimed the mission. */
const OPEN_RUNS_LOOKED_AT = 5;
const SECOND_MS = 1_000;

export interface RunNow {
  readonly userId: string;
  readonly missionId: string;
  readonly agentId: string | null;
}

export interface RunPage {
  readonly runs: readonly MissionRun[];
  /** Of the server, behind the number of the namespace where there are several; opaque; empty on the last page. */
  readonly nextPageToken: Uint8Array;
}

export type MissionRuns = ReturnType<typeof createMissionRuns>;

/**
 * Runs of missions as a user sees them, in whichever namespace they are. All of it throws `TemporalUnavailableError` where Temporal
 * does not answer.
 *
 * @param options.client null: there is none, nothing is answered
 */
export function createMissionRuns(options: { readonly client: Clients | null; readonly taskQueue: string }) {
  const { taskQueue } = options;
  const required = (): NamespaceClients => {
    if (options.client === null) throw new TemporalUnavailableError();
    return namespacesOf(options.client);
  };
  return {
    startNow: (run: RunNow, nowMs: number) => startNow(required().ofUser(run.userId), taskQueue, run, nowMs),
    hasOpenRun: async (run: RunNow, nowMs: number, slot: ExecutionRef | null): Promise<boolean> => {
      const clients = required().all;
      const answers = await Promise.all(clients.map((client) => hasOpenRun(client, run, nowMs, slot)));
      return answers.includes(true);
    },
    list: (userId: string, missionId: string, page: { limit: number; pageToken: Uint8Array }) =>
      listRuns(required(), userId, missionId, page),
    find: (userId: string, runId: string, slotOf: () => Promise<ExecutionRef | null>) =>
      findRun(required(), userId, runId, slotOf),
    progress: (run: ExecutionRef) => findIn(required().all, (client) => progressOf(client, run)),
    cancel: (run: ExecutionRef) => cancelRun(required(), run),
  };
}

/**
 * Starts a run because the user asked for it. Clicks within the same second are one.
 *
 * @returns the run id, or null if this second's run was started before
 */
async function startNow(
  client: Client,
  taskQueue: string,
  run: RunNow,
  nowMs: number,
): Promise<string | null> {
  const { userId, missionId } = run;
  return askTemporal(client, async () => {
    try {
      const { firstExecutionRunId } = await client.workflow.start(MISSION_RUN_WORKFLOW_TYPE, {
        workflowId: nowWorkflowId(userId, missionId, secondOf(nowMs)),
        taskQueue,
        args: [{ userId, missionId, trigger: 'run-now' } satisfies MissionRunInput],
        typedSearchAttributes: runSearchAttributes(run, 'run-now'),
        workflowIdReusePolicy: 'REJECT_DUPLICATE',
        workflowIdConflictPolicy: 'FAIL',
        priority: { fairnessKey: fairnessKeyOf(userId) },
      });
      return firstExecutionRunId;
    } catch (error) {
      if (error instanceof WorkflowExecutionAlreadyStartedError) return null;
      throw error;
    }
  });
}

const secondOf = (ms: number): number => Math.floor(ms / SECOND_MS);

/**
 * Whether a run of the mission is open: the one that holds its slot, one that visibility shows and that no worker has
 * taken up yet, or one that was asked for in the second before and that visibility does not show yet. What is found is
 * asked itself: slots outlive runs that were terminated, and visibility is late.
 */
async function hasOpenRun(
  client: Client,
  run: RunNow,
  nowMs: number,
  slot: ExecutionRef | null,
): Promise<boolean> {
  const { userId, missionId } = run;
  return askTemporal(client, async () => {
    const query = openMissionRunsQuery(userId, missionId);
    const { runs } = await listPage(client, userId, query, {
      limit: OPEN_RUNS_LOOKED_AT,
      pageToken: NO_TOKEN,
    });
    const justBefore = { workflowId: nowWorkflowId(userId, missionId, secondOf(nowMs) - 1) };
    const found = [justBefore, ...runs, ...(slot === null ? [] : [slot])];
    const described = await Promise.all(found.map((ref) => describeRun(client, userId, ref)));
    return described.some((each) => each?.state === 'running' && each.missionId === missionId);
  });
}

const NO_TOKEN = new Uint8Array();

/** A page of a mission's runs, of each namespace in turn: open ones first, then those that ended last. */
async function listRuns(
  clients: NamespaceClients,
  userId: string,
  missionId: string,
  page: { readonly limit: number; readonly pageToken: Uint8Array },
): Promise<RunPage> {
  const inTurn = clientsInTurn(clients, userId);
  return askTemporal(clients.home, async () => {
    if (inTurn.length === 1) return listRunsIn(clients.home, userId, missionId, page);
    const runs: MissionRun[] = [];
    let [nth = 0, ...token] = page.pageToken;
    for (const client of inTurn.slice(nth)) {
      if (runs.length === page.limit) break;
      const rest = { limit: page.limit - runs.length, pageToken: Uint8Array.from(token) };
      const listed = await listRunsIn(client, userId, missionId, rest);
      runs.push(...listed.runs);
      token = [...listed.nextPageToken];
      if (token.length > 0) break;
      nth += 1;
    }
    return { runs, nextPageToken: nth < inTurn.length ? Uint8Array.of(nth, ...token) : NO_TOKEN };
  });
}

async function listRunsIn(
  client: Client,
  userId: string,
  missionId: string,
  page: { readonly limit: number; readonly pageToken: Uint8Array },
): Promise<RunPage> {
  const listed = await listPage(client, userId, missionRunsQuery(userId, missionId), page);
  const theirs = listed.runs.filter((run) => run.missionId === missionId);
  const runs = await pLimit(CONCURRENCY).map(theirs, (run) => upToDate(client, userId, run));
  return { runs, nextPageToken: listed.nextPageToken };
}

/** The SDK's own `list` hides the page tokens. */
async function listPage(
  client: Client,
  userId: string,
  query: string,
  page: { readonly limit: number; readonly pageToken: Uint8Array },
): Promise<RunPage> {
  const { namespace, loadedDataConverter } = client.options;
  const { executions, nextPageToken } = await client.workflowService.listWorkflowExecutions({
    namespace,
    query,
    pageSize: page.limit,
    nextPageToken: page.pageToken,
  });
  const infos = await Promise.all(
    executions.map((raw) => executionInfoFromRaw(raw, loadedDataConverter, raw, namespace)),
  );
  const runs = infos.map((info) => toMissionRun(info, userId)).filter((run) => run !== null);
  return { runs, nextPageToken };
}

/** Visibility is late with the end of a run, and knows no result. */
async function upToDate(client: Client, userId: string, run: MissionRun): Promise<MissionRun> {
  const current = run.state === 'running' ? ((await describeRun(client, userId, run)) ?? run) : run;
  return { ...current, result: await resultOf(client, current) };
}

/** What the run came to; null too when its history is gone or was encrypted under a key that is gone. */
export async function resultOf(client: Client, run: MissionRun): Promise<MissionRunResult | null> {
  if (run.state !== 'completed') return null;
  try {
    const handle = client.workflow.getHandle(run.workflowId, run.runId, { followRuns: false });
    return (await handle.result()) as MissionRunResult;
  } catch (error) {
    if (isNoAnswer(error)) throw error;
    return null;
  }
}

async function describeRun(
  client: Client,
  userId: string,
  { workflowId, runId }: ExecutionRef,
): Promise<MissionRun | null> {
  try {
    return toMissionRun(await client.workflow.getHandle(workflowId, runId).describe(), userId);
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return null;
    throw error;
  }
}

/**
 * A run of the user by its run id alone, of which visibility or, a moment earlier, its slot knows the workflow id.
 *
 * @param slotOf the slot that the run holds, if it does
 * @returns null if the user has no such run, or no longer
 */
async function findRun(
  clients: NamespaceClients,
  userId: string,
  runId: string,
  slotOf: () => Promise<ExecutionRef | null>,
): Promise<MissionRun | null> {
  const inTurn = clientsInTurn(clients, userId);
  const described = async (client: Client, ref: ExecutionRef | undefined): Promise<MissionRun | null> => {
    const run = ref === undefined ? null : await describeRun(client, userId, ref);
    return run === null ? null : { ...run, result: await resultOf(client, run) };
  };
  return askTemporal(clients.home, async () => {
    for (let look = 1; look <= LOOKS; look += 1) {
      if (look > 1) await delay(LOOK_EVERY_MS);
      const page = { limit: 1, pageToken: NO_TOKEN };
      const listed = await findIn(inTurn, async (client) =>
        described(client, (await listPage(client, userId, runQuery(runId), page)).runs[0]),
      );
      if (listed !== null) return listed;
      const slot = (await slotOf()) ?? undefined;
      const held = await findIn(inTurn, (client) => described(client, slot));
      if (held !== null) return held;
    }
    return null;
  });
}

/** Where an open run stands; null when no worker answers in time. Rounds of one activity are told by its heartbeat. */
async function progressOf(client: Client, { workflowId, runId }: ExecutionRef): Promise<RunProgress | null> {
  const handle = client.workflow.getHandle(workflowId, runId);
  try {
    return await askTemporal(
      client,
      async () => {
        const [progress, { raw }] = await Promise.all([handle.query(runProgressQuery), handle.describe()]);
        const [heartbeat] = raw.pendingActivities?.[0]?.heartbeatDetails?.payloads ?? [];
        const { loadedDataConverter } = client.options;
        const told = await decodeOptionalSinglePayload<Partial<RunProgress>>(loadedDataConverter, heartbeat);
        return {
          ...progress,
          round: told?.round ?? progress.round,
          totalTokens: progress.totalTokens + (told?.totalTokens ?? 0),
        };
      },
      PROGRESS_WITHIN_MS,
    );
  } catch {
    return null;
  }
}

import type { Client } from '@temporalio/client';
import { decodeTypedSearchAttributes } from '@temporalio/common/lib/converter/payload-search-attributes.js';
import { setTimeout as delay } from 'node:timers/promises';
import pLimit from 'p-limit';
import { OwnError } from '#domain/base/errors.ts';
import { toKeyword } from '#domain/run/search-attributes.ts';
import { missionIdPrefix } from '#schedules/schedule-ids.ts';
import { deleteSchedule } from '#schedules/schedule-update.ts';
import { withCallDeadline } from '#temporal/connection.ts';
import { isNotFoundFailure } from '#temporal/grpc-status.ts';
import { MISSION_SEARCH_ATTRIBUTES } from '#temporal/search-attributes.ts';
import { userExecutionsQueries } from './run-queries.ts';

const PAGE_SIZE = 1_000;
const CONCURRENCY = 10;
/** Visibility is a moment late with what was started, and with what was deleted. */
const LOOK_EVERY_MS = 500;
/** The server deletes what has just ended only when its queues have passed that, some ten seconds later; each request has it try. */
const ASK_AGAIN_AFTER_MS = 10_000;
/** What the server puts before a schedule's id: the workflow that keeps the schedule. */
const SCHEDULER_PREFIX = 'temporal-sys-scheduler:';

/** What a user had in Temporal. */
export interface ErasedExecutions {
  readonly schedules: number;
  /** Runs, open ones too, and healings. */
  readonly executions: number;
}

class StillListedError extends OwnError {
  override readonly name = 'StillListedError';
  constructor(listed: number) {
    super(`Temporal still lists ${listed} executions of the user; run the command again`);
  }
}

interface Found {
  readonly workflowId: string;
  readonly runId: string;
}

/**
 * Deletes a user's schedules, and every execution of the user with its history, open ones too: an open one is terminated. Done when
 * none is listed any more. Two at once do no harm.
 *
 * @throws StillListedError when the time is up; gRPC errors of the SDK
 */
export async function eraseUserRuns(
  client: Client,
  userId: string,
  deadlineMs: number,
): Promise<ErasedExecutions> {
  const untilMs = performance.now() + deadlineMs;
  const [schedules, executions] = [new Set<string>(), new Set<string>()];
  const askedAtMs = new Map<string, number>();
  const erase = async ({ workflowId, runId }: Found): Promise<void> => {
    if (performance.now() - (askedAtMs.get(runId) ?? -Infinity) < ASK_AGAIN_AFTER_MS) return;
    askedAtMs.set(runId, performance.now());
    // A schedule ends with its scheduler; only then may what that leaves behind go.
    if (workflowId.startsWith(SCHEDULER_PREFIX)) {
      const scheduleId = workflowId.slice(SCHEDULER_PREFIX.length);
      if (await deleteSchedule(client, scheduleId)) schedules.add(scheduleId);
    } else executions.add(runId);
    await deleteExecution(client, { workflowId, runId });
  };
  for (;;) {
    const found = await listExecutions(client, userId);
    if (found.length === 0) return { schedules: schedules.size, executions: executions.size };
    if (performance.now() > untilMs) throw new StillListedError(found.length);
    await pLimit(CONCURRENCY).map(found, erase);
    await delay(LOOK_EVERY_MS);
  }
}

/** A page of each kind; the next look finds the rest. */
async function listExecutions(client: Client, userId: string): Promise<Found[]> {
  const { namespace } = client.options;
  const found = new Map<string, Found>();
  for (const query of userExecutionsQueries(userId)) {
    const { executions } = await withCallDeadline(client.connection, () =>
      client.workflowService.listWorkflowExecutions({ namespace, query, pageSize: PAGE_SIZE }),
    );
    for (const { execution, searchAttributes } of executions) {
      const { workflowId, runId } = { workflowId: '', runId: '', ...execution };
      const attributes = decodeTypedSearchAttributes(searchAttributes?.indexedFields);
      if (isTheirs(workflowId ?? '', attributes.get(MISSION_SEARCH_ATTRIBUTES.userId), userId))
        found.set(runId ?? '', { workflowId: workflowId ?? '', runId: runId ?? '' });
    }
  }
  return [...found.values()];
}

/** A query's `%` and `_` match more than they say, and an id longer than a Keyword is cut in the attribute. */
function isTheirs(workflowId: string, userAttribute: string | undefined, userId: string): boolean {
  const id = workflowId.startsWith(SCHEDULER_PREFIX) ? workflowId.slice(SCHEDULER_PREFIX.length) : workflowId;
  return (
    (['mission', 'heal'] as const).some((kind) => id.startsWith(missionIdPrefix(kind, userId))) ||
    (userAttribute === userId && toKeyword(userId) === userId)
  );
}

async function deleteExecution(client: Client, { workflowId, runId }: Found): Promise<void> {
  try {
    await withCallDeadline(client.connection, () =>
      client.workflowService.deleteWorkflowExecution({
        namespace: client.options.namespace,
        workflowExecution: { workflowId, runId },
      }),
    );
  } catch (error) {
    if (!isNotFoundFailure(error)) throw error;
  }
}

import type { Client } from '@temporalio/client';
import {
  decodeScheduleSpec,
  encodeScheduleAction,
  encodeSchedulePolicies,
  encodeScheduleSpec,
} from '@temporalio/client/lib/schedule-helpers.js';
import {
  decodeTypedSearchAttributes,
  encodeUnifiedSearchAttributes,
} from '@temporalio/common/lib/converter/payload-search-attributes.js';
import { randomUUID } from 'node:crypto';
import { withCallDeadline } from '#temporal/connection.ts';
import { GRPC_STATUS, hasGrpcStatus, isNotFoundFailure } from '#temporal/grpc-status.ts';
import { MISSION_SEARCH_ATTRIBUTES } from '#temporal/search-attributes.ts';
import { type toScheduleRequest, shownSpecDigest } from './schedule-request.ts';

/*
 * The SDK's `handle.update` sends no conflict token, so two writers could mix: this file says the same to the service
 * directly, with the SDK's own encoders. They are not part of its public index; the version is pinned.
 */

type StoredSchedule = NonNullable<DescribeScheduleResponse['schedule']>;
type DescribeScheduleResponse = Awaited<ReturnType<Client['workflowService']['describeSchedule']>>;

/** Whether somebody paused the schedule in the Temporal UI or CLI, and the note that was left. */
export interface PauseState {
  readonly paused: boolean;
  readonly note: string;
}

export interface PresentSchedule {
  readonly conflictToken: Uint8Array;
  readonly state: PauseState;
  /** Hash of what was sent last; undefined for a schedule that is not ours. */
  readonly hash: string | undefined;
  /** Of the spec as it stands, which may have been edited by hand since: see `shownSpecDigest`. */
  readonly specDigest: string;
  /** Runs that the schedule started and that are open. */
  readonly openRuns: number;
  readonly schedule: StoredSchedule;
}

/** @returns null if there is no such schedule */
export async function describeSchedule(client: Client, scheduleId: string): Promise<PresentSchedule | null> {
  try {
    const { schedule, conflictToken, info } = await withCallDeadline(client.connection, () =>
      client.workflowService.describeSchedule({ namespace: client.options.namespace, scheduleId }),
    );
    const attributes = decodeTypedSearchAttributes(
      schedule?.action?.startWorkflow?.searchAttributes?.indexedFields,
    );
    return {
      conflictToken,
      state: { paused: schedule?.state?.paused === true, note: schedule?.state?.notes ?? '' },
      hash: attributes.get(MISSION_SEARCH_ATTRIBUTES.specHash),
      specDigest: shownSpecDigest(decodeScheduleSpec(schedule?.spec ?? {})),
      openRuns: info?.runningWorkflows?.length ?? 0,
      schedule: schedule ?? {},
    };
  } catch (error) {
    if (isNotFoundFailure(error)) return null;
    throw error;
  }
}

/**
 * Sends the whole schedule: what is left out would be kept. It returns without error when somebody else was faster or
 * has deleted the schedule.
 */
export async function sendUpdate(
  client: Client,
  update: {
    readonly scheduleId: string;
    readonly request: ReturnType<typeof toScheduleRequest>;
    readonly present: PresentSchedule;
  },
): Promise<void> {
  const { scheduleId, request, present } = update;
  const { namespace, identity, loadedDataConverter } = client.options;
  const headers = present.schedule.action?.startWorkflow?.header?.fields ?? {};
  const action = await encodeScheduleAction(loadedDataConverter, namespace, request.action, headers);
  try {
    await withCallDeadline(client.connection, () =>
      client.workflowService.updateSchedule({
        namespace,
        identity,
        scheduleId,
        requestId: randomUUID(),
        conflictToken: present.conflictToken,
        schedule: {
          spec: encodeScheduleSpec(request.spec),
          action,
          policies: encodeSchedulePolicies(request.policies),
          state: present.schedule.state ?? {},
        },
        searchAttributes: {
          indexedFields: encodeUnifiedSearchAttributes(undefined, request.typedSearchAttributes),
        },
      }),
    );
  } catch (error) {
    if (isNotFoundFailure(error) || LOST_RACES.some((status) => hasGrpcStatus(error, status))) return;
    throw error;
  }
}

/** @returns false if there was none */
export async function deleteSchedule(client: Client, scheduleId: string): Promise<boolean> {
  const { namespace, identity } = client.options;
  try {
    await withCallDeadline(client.connection, () =>
      client.workflowService.deleteSchedule({ namespace, identity, scheduleId }),
    );
    return true;
  } catch (error) {
    if (isNotFoundFailure(error)) return false;
    throw error;
  }
}

const LOST_RACES = [GRPC_STATUS.FAILED_PRECONDITION, GRPC_STATUS.ABORTED];

import type { Client } from '@temporalio/client';
import { withCallDeadline } from '#temporal/connection.ts';
import { MISSION_SEARCH_ATTRIBUTES } from '#temporal/search-attributes.ts';
import { codecKeyIdOf } from './schedule-request.ts';
import { describeSchedule } from './schedule-update.ts';

/** As many as the server gives at once. */
const LIST_PAGE_SIZE = 1_000;

/** Schedules whose input is under one codec key, as visibility shows it. */
export interface SchedulesUnderKey {
  /** Null: noted by no version that named its key. */
  readonly keyId: string | null;
  readonly schedules: number;
  /** One of them. */
  readonly scheduleId: string;
}

/**
 * Which codec keys the inputs of missions' schedules are under.
 *
 * @param atMost no more schedules are looked at
 * @throws gRPC errors of the SDK
 */
export async function codecKeysInUse(client: Client, atMost: number): Promise<SchedulesUnderKey[]> {
  const found = new Map<string | null, SchedulesUnderKey>();
  const query = {
    query: `${MISSION_SEARCH_ATTRIBUTES.missionId.name} IS NOT NULL`,
    pageSize: LIST_PAGE_SIZE,
  };
  const pages = client.schedule.list(query)[Symbol.asyncIterator]();
  for (let looked = 0; ; looked += 1) {
    const next = await withCallDeadline(client.connection, () => pages.next());
    if (next.done === true || looked === atMost) return [...found.values()];
    const { scheduleId, typedSearchAttributes } = next.value;
    const keyId = codecKeyIdOf(typedSearchAttributes?.get(MISSION_SEARCH_ATTRIBUTES.specHash) ?? '');
    const schedules = (found.get(keyId)?.schedules ?? 0) + 1;
    found.set(keyId, { keyId, schedules, scheduleId });
  }
}

/**
 * Whether the client's codec opens a schedule's input, as a worker has to; true also for a schedule that has gone meanwhile.
 *
 * @throws gRPC errors of the SDK
 */
export async function opensInputOf(client: Client, scheduleId: string): Promise<boolean> {
  const present = await describeSchedule(client, scheduleId);
  const payloads = present?.schedule.action?.startWorkflow?.input?.payloads ?? [];
  try {
    for (const codec of client.options.loadedDataConverter.payloadCodecs) await codec.decode(payloads);
    return true;
  } catch {
    return false;
  }
}

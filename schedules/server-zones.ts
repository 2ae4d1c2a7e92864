import type { Client } from '@temporalio/client';
import { msNumberToTs, tsToMs } from '@temporalio/common/lib/time.js';
import { randomUUID } from 'node:crypto';
import { isAtHour } from '#domain/cadence/cadence.ts';
import { withCallDeadline } from '#temporal/connection.ts';
import { GRPC_STATUS, hasGrpcStatus } from '#temporal/grpc-status.ts';
import { MISSION_RUN_WORKFLOW_TYPE } from '#temporal/messages.ts';

const DAY_MS = 86_400_000;
/** Noon and midnight of so many days: fewer than the 1,000 times that the server lists, and more than a year's clock changes. */
const DAYS_COMPARED = 400;
const HOURS_COMPARED = [0, 12];
/** A server's update may bring other rules. */
const KNOWN_FOR_MS = DAY_MS;

/**
 * Asks whether the server's calendars follow a zone as we do. There are two time-zone databases, Node's and the server's: one
 * may know a zone that the other refuses, or change its clock on another day.
 *
 * @returns whether it does; remembered for a day
 * @throws gRPC errors of the SDK
 */
export function createServerZones(client: Client): (timeZone: string) => Promise<boolean> {
  const known = new Map<string, { readonly answer: Promise<boolean>; readonly askedAtMs: number }>();
  return async (timeZone) => {
    const before = known.get(timeZone);
    if (before !== undefined && Date.now() - before.askedAtMs < KNOWN_FOR_MS) return before.answer;
    const asked = { answer: followsZone(client, timeZone), askedAtMs: Date.now() };
    known.set(timeZone, asked);
    try {
      return await asked.answer;
    } catch (error) {
      if (known.get(timeZone) === asked) known.delete(timeZone);
      throw error;
    }
  };
}

/** A paused schedule that never starts anything shows when the server's calendars would fire; nothing else tells. */
async function followsZone(client: Client, timeZone: string): Promise<boolean> {
  const scheduleId = `mana:zone:${timeZone}:${randomUUID()}`;
  const startMs = Date.now();
  const endMs = startMs + DAYS_COMPARED * DAY_MS;
  try {
    await withCallDeadline(client.connection, () =>
      client.schedule.create({
        scheduleId,
        spec: { calendars: [{ hour: HOURS_COMPARED }], timezone: timeZone },
        action: {
          type: 'startWorkflow',
          workflowType: MISSION_RUN_WORKFLOW_TYPE,
          taskQueue: 'mana-nobody',
          args: [],
        },
        state: { paused: true, note: 'mana: compares time-zone databases, starts nothing' },
      }),
    );
  } catch (error) {
    if (isRefusal(error)) return false;
    throw error;
  }
  try {
    const { startTime } = await withCallDeadline(client.connection, () =>
      client.workflowService.listScheduleMatchingTimes({
        namespace: client.options.namespace,
        scheduleId,
        startTime: msNumberToTs(startMs),
        endTime: msNumberToTs(endMs),
      }),
    );
    const fires = startTime.map(tsToMs);
    return fires.length > 0 && fires.every((ms) => isAtHour(ms, timeZone, HOURS_COMPARED));
  } finally {
    await withCallDeadline(client.connection, () => client.schedule.getHandle(scheduleId).delete());
  }
}

/** Of its two kinds of connection, the SDK turns the server's word on a spec into a TypeError on one, and wraps it on the other. */
const isRefusal = (error: unknown): boolean =>
  error instanceof TypeError ||
  hasGrpcStatus(error, GRPC_STATUS.INVALID_ARGUMENT) ||
  (error instanceof Error && error.cause !== undefined && isRefusal(error.cause));

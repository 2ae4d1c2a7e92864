import {
  DAYS_OF_WEEK,
  MONTHS,
  ScheduleOverlapPolicy,
  type CalendarSpec,
  type ScheduleOptions,
  type ScheduleSpec,
  type ScheduleSpecDescription,
} from '@temporalio/client';
import { decodeScheduleSpec, encodeScheduleSpec } from '@temporalio/client/lib/schedule-helpers.js';
import type { SearchAttributePair } from '@temporalio/common';
import { createHash } from 'node:crypto';
import type { CronFields } from '#domain/cadence/cron.ts';
import { canonicalSpec, type MissionScheduleSpec } from '#domain/cadence/schedule-spec.ts';
import { toKeyword } from '#domain/run/search-attributes.ts';
import { MISSION_SEARCH_ATTRIBUTES } from '#temporal/search-attributes.ts';
import { MISSION_RUN_WORKFLOW_TYPE, type MissionRunInput, type RunTrigger } from '#temporal/messages.ts';
import { missionScheduleId } from './schedule-ids.ts';

/** To be raised when the same spec is to be sent in another form: it makes every schedule out of date. */
const REQUEST_VERSION = 1;
const HASH_CHARACTERS = 16;

/** What a mission's schedule is made from, besides its pause. */
export interface MissionScheduleTarget {
  readonly userId: string;
  readonly missionId: string;
  readonly agentId: string | null;
  readonly spec: MissionScheduleSpec;
}

/** The same for all missions. */
export interface ScheduleSettings {
  readonly taskQueue: string;
  /** How late the server may still fire after it was down itself. */
  readonly catchupWindowMs: number;
  /** The key that the input is encrypted under; null: none. */
  readonly codecKeyId: string | null;
}

type ScheduleRequest = Pick<ScheduleOptions, 'spec' | 'policies' | 'typedSearchAttributes'> & {
  readonly action: ScheduleOptions['action'] & { readonly workflowId: string };
};

/** The schedule as the SDK's `create` takes it; an update sends all of it again, because the server keeps the rest. */
export function toScheduleRequest(target: MissionScheduleTarget, settings: ScheduleSettings) {
  const { userId, missionId, spec } = target;
  const hash = { key: MISSION_SEARCH_ATTRIBUTES.specHash, value: scheduleHash(target, settings) };
  return {
    spec: toTemporalSpec(spec),
    action: {
      type: 'startWorkflow',
      workflowType: MISSION_RUN_WORKFLOW_TYPE,
      workflowId: missionScheduleId(userId, missionId),
      taskQueue: settings.taskQueue,
      args: [{ userId, missionId, trigger: 'schedule' } satisfies MissionRunInput],
      // Here the hash changes together with the spec; on the schedule itself it follows a moment later.
      typedSearchAttributes: [...runSearchAttributes(target, 'schedule'), hash],
    },
    policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: settings.catchupWindowMs },
    typedSearchAttributes: [
      { key: MISSION_SEARCH_ATTRIBUTES.userId, value: toKeyword(userId) },
      { key: MISSION_SEARCH_ATTRIBUTES.missionId, value: toKeyword(missionId) },
      hash,
    ],
  } satisfies ScheduleRequest;
}

/** The search attributes that a run is started with. */
export const runSearchAttributes = (
  { userId, missionId, agentId }: Omit<MissionScheduleTarget, 'spec'>,
  trigger: RunTrigger,
): SearchAttributePair[] => [
  { key: MISSION_SEARCH_ATTRIBUTES.userId, value: toKeyword(userId) },
  { key: MISSION_SEARCH_ATTRIBUTES.missionId, value: toKeyword(missionId) },
  ...(agentId === null ? [] : [{ key: MISSION_SEARCH_ATTRIBUTES.agentId, value: toKeyword(agentId) }]),
  { key: MISSION_SEARCH_ATTRIBUTES.trigger, value: trigger },
];

/**
 * Of all that `toScheduleRequest` sends; pauses are compared by themselves, because operators change them. The codec key
 * stands in front, in clear as in the payload: `<key id>:<hash>`. Versions before sent the hash alone.
 */
export function scheduleHash({ agentId, spec }: MissionScheduleTarget, settings: ScheduleSettings): string {
  const parts = [REQUEST_VERSION, canonicalSpec(spec), agentId, settings.taskQueue, settings.catchupWindowMs];
  const digest = createHash('sha256').update(JSON.stringify(parts), 'utf8').digest('hex');
  const hash = digest.slice(0, HASH_CHARACTERS);
  return settings.codecKeyId === null ? hash : `${settings.codecKeyId}:${hash}`;
}

/** Two hashes of the same request, whatever key its input is under. */
export const differOnlyByKey = (one: string, other: string): boolean =>
  one !== other && one.split(':').at(-1) === other.split(':').at(-1);

/** @returns null where the hash names no key */
export const codecKeyIdOf = (hash: string): string | null => {
  const [keyId = '', ...rest] = hash.split(':');
  return rest.length === 0 ? null : keyId;
};

function toTemporalSpec(spec: MissionScheduleSpec): ScheduleSpec {
  return {
    ...(spec.startAtMs !== null && { startAt: new Date(spec.startAtMs) }),
    intervals: spec.intervals.map(({ everyMs, offsetMs }) => ({ every: everyMs, offset: offsetMs })),
    calendars: spec.calendars.map(toTemporalCalendar),
    timezone: spec.timeZone,
    jitter: spec.jitterMs,
  };
}

const toTemporalCalendar = ({
  minutes,
  hours,
  daysOfMonth,
  months,
  daysOfWeek,
}: CronFields): CalendarSpec => ({
  second: 0,
  minute: minutes === null ? '*' : [...minutes],
  hour: hours === null ? '*' : [...hours],
  dayOfMonth: daysOfMonth === null ? '*' : [...daysOfMonth],
  month: months === null ? '*' : months.map((month) => MONTHS[month - 1] ?? refuse('month', month)),
  dayOfWeek:
    daysOfWeek === null ? '*' : daysOfWeek.map((day) => DAYS_OF_WEEK[day] ?? refuse('day of week', day)),
});

function refuse(field: string, value: number): never {
  throw new RangeError(`schedule calendar: found ${field} ${value}`);
}

/**
 * Tells specs apart as the server shows them, in a list and in a description alike: whoever edits a schedule by hand
 * changes its spec and leaves our hash, a search attribute, as it was.
 */
export function shownSpecDigest(spec: ScheduleSpecDescription): string {
  const calendars = spec.calendars?.map((calendar) => ({ ...calendar, comment: calendar.comment ?? '' }));
  const text = JSON.stringify({ ...spec, calendars });
  return createHash('sha256').update(text, 'utf8').digest('hex').slice(0, HASH_CHARACTERS);
}

/** What `shownSpecDigest` gives once the server has taken the spec. */
export const sentSpecDigest = (spec: ScheduleSpec): string =>
  shownSpecDigest(decodeScheduleSpec(encodeScheduleSpec(spec)));

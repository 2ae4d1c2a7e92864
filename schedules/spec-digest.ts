import type { ScheduleSpec, ScheduleSpecDescription } from '@temporalio/client';
import { decodeScheduleSpec, encodeScheduleSpec } from '@temporalio/client/lib/schedule-helpers.js';
import { createHash } from 'node:crypto';

const DIGEST_CHARACTERS = 16;

/**
 * Tells specs apart as the server shows them, in a list and in a description alike: whoever edits a schedule by hand
 * changes its spec and leaves our hash, a search attribute, as it was.
 */
export function shownSpecDigest(spec: ScheduleSpecDescription): string {
  const calendars = spec.calendars?.map((calendar) => ({ ...calendar, comment: calendar.comment ?? '' }));
  const text = JSON.stringify({ ...spec, calendars });
  return createHash('sha256').update(text, 'utf8').digest('hex').slice(0, DIGEST_CHARACTERS);
}

/** What `shownSpecDigest` gives once the server has taken the spec. */
export const sentSpecDigest = (spec: ScheduleSpec): string =>
  shownSpecDigest(decodeScheduleSpec(encodeScheduleSpec(spec)));

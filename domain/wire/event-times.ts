import { looksEncrypted } from '#domain/base/text/prompt-text.ts';

type Fields = Readonly<Record<string, unknown>>;

/** The contract names no fields of `timeBlocks` records, only that times stand there in clear (docs/platform.md section 2). */
const START_NAMES = ['startDate', 'startsAt', 'startAt', 'startTime', 'start', 'begin', 'from'];
const END_NAMES = ['endDate', 'endsAt', 'endAt', 'endTime', 'end', 'until', 'to'];
const ALL_DAY_NAMES = ['allDay', 'isAllDay', 'all_day'];
const OTHER_TIMES = /date|time|duration|minutes|recurr|rrule|zone|repeat/i;
/** Ids, and when somebody edited the record, say nothing about the event. */
const NOT_OF_THE_EVENT = /id$|^(created|updated|deleted|modified|synced)/i;
const MAX_TIME_CHARS = 100;

/**
 * The times of a calendar event, out of the merged `timeBlocks` record that its `timeBlockId` names: whatever plain
 * times that one has. Start, end and all-day get the same names whatever the record calls them.
 *
 * @returns plain short values by field name; empty when there is none
 */
export function eventTimes(block: Fields): Fields {
  const named: [string, readonly string[]][] = [
    ['startDate', START_NAMES],
    ['endDate', END_NAMES],
    ['allDay', ALL_DAY_NAMES],
  ];
  const known = new Set(named.flatMap(([, names]) => names));
  const others = Object.keys(block).filter(
    (name) => !known.has(name) && OTHER_TIMES.test(name) && !NOT_OF_THE_EVENT.test(name),
  );
  const times = [...named, ...others.map((name): [string, string[]] => [name, [name]])].flatMap(
    ([name, candidates]) => {
      const value = candidates.map((candidate) => block[candidate]).find(isPlainTime);
      return value === undefined ? [] : [[name, value] as const];
    },
  );
  return Object.fromEntries(times);
}

const isPlainTime = (value: unknown): boolean =>
  typeof value === 'string'
    ? value !== '' && value.length <= MAX_TIME_CHARS && !looksEncrypted(value)
    : typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value));

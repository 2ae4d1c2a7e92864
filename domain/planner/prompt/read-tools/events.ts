import { dayAt, dayOf, text, time, type Reader } from './reader.ts';
import { instantMs } from '#domain/base/instant.ts';
import { zoneName, type UserZone } from '#domain/base/local-time.ts';
import type { ReadableRecord } from '#domain/run/run-inputs.ts';

/**
 * `get_todays_events`: what begins, ends or goes on today. A recurring event that began earlier is named with its rule
 * instead of being worked out, and those whose times cannot be read are counted: the answer claims no more than it knows.
 */
export const answerAboutEvents: Reader = ({ records, nowMs, timeZone }) => {
  const today = dayAt(nowMs, timeZone);
  const spans = records.map((record) => ({ record, ...spanOf(record, timeZone) }));
  const isToday = ({ firstDay, lastDay }: Span): boolean =>
    firstDay !== null && firstDay <= today && today <= (lastDay ?? firstDay);
  const mayRecurToday = (span: Span & { record: ReadableRecord }): boolean =>
    !isToday(span) && (span.firstDay ?? today) <= today && text(span.record, 'recurrenceRule') !== undefined;
  const entries = spans
    .filter((span) => isToday(span) || mayRecurToday(span))
    .map((span) => ({
      id: span.record.id,
      title: text(span.record, 'title'),
      start: time(span.record, 'startDate', timeZone),
      end: time(span.record, 'endDate', timeZone),
      allDay: span.record.fields['allDay'] === true ? true : undefined,
      location: text(span.record, 'location'),
      recurrence: text(span.record, 'recurrenceRule'),
      ...(mayRecurToday(span) ? { today: 'only if its recurrence falls on today' } : {}),
    }))
    .sort((a, b) => ((a.start ?? '') < (b.start ?? '') ? -1 : 1));
  const unreadable = spans.filter(({ firstDay }) => firstDay === null).length;
  return {
    facts: {
      today,
      ...zoneFact(timeZone),
      ...(unreadable === 0 ? {} : { eventsWithoutReadableTimes: unreadable }),
    },
    entries,
  };
};

/** Times bear their offset; a name that says less is left out. */
const zoneFact = (timeZone: UserZone) => {
  const name = timeZone === null ? 'unknown; all times are in UTC' : zoneName(timeZone);
  return name === null ? {} : { timeZone: name };
};

interface Span {
  readonly firstDay: string | null;
  readonly lastDay: string | null;
}

/** An event that ends at midnight does not go on into the next day. */
function spanOf({ fields }: ReadableRecord, timeZone: UserZone): Span {
  const [startMs, endMs] = [instantMs(fields['startDate']), instantMs(fields['endDate'])];
  const lastDay =
    startMs !== null && endMs !== null && endMs > startMs
      ? dayAt(endMs - 1, timeZone)
      : dayOf(fields['endDate'], timeZone);
  return { firstDay: dayOf(fields['startDate'], timeZone), lastDay };
}

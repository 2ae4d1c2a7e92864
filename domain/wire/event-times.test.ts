import { expect, it } from 'vitest';
import { eventTimes } from './event-times.ts';

it('start, end and all-day get one name, whatever the time block calls them', () => {
  for (const block of [
    { startDate: 's', endDate: 'e', allDay: true },
    { startsAt: 's', end: 'e', isAllDay: true },
    { startTime: 's', endTime: 'e', all_day: true },
  ])
    expect(eventTimes(block)).toEqual({ startDate: 's', endDate: 'e', allDay: true });
});

it('other plain times come along; ids, edits, ciphertext, objects and long texts do not', () =>
  expect(
    eventTimes({
      ...{ id: 'b1', createdAt: 'c', updatedAt: 'u', timeBlockId: 'x', kind: 'event', title: 'geheim' },
      ...{
        startDate: 'enc:1:a.b',
        start: 1_770_000_000_000,
        endDate: { at: 1 },
        recurrenceRule: 'FREQ=DAILY',
      },
      ...{ timezone: 'Europe/Berlin', dateNote: 'x'.repeat(200) },
    }),
  ).toEqual({ startDate: 1_770_000_000_000, recurrenceRule: 'FREQ=DAILY', timezone: 'Europe/Berlin' }));

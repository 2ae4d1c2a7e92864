import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cronOccurrences, parseCron } from './cron.ts';

const any = { minutes: null, hours: null, daysOfMonth: null, months: null, daysOfWeek: null };

const occurrences = (expression: string, after: string, count: number): string[] => {
  const fields = parseCron(expression);
  if (fields === null) throw new Error(`not read: ${expression}`);
  const times: string[] = [];
  for (const time of cronOccurrences(fields, Date.parse(after))) {
    times.push(new Date(time).toISOString());
    if (times.length === count) break;
  }
  return times;
};

describe('parseCron', () => {
  it.each([
    ['* * * * *', any],
    ['0 8 * * *', { ...any, minutes: [0], hours: [8] }],
    ['  */20  8-10,14  *  *  * ', { ...any, minutes: [0, 20, 40], hours: [8, 9, 10, 14] }],
    ['5-20/5 * * * *', { ...any, minutes: [5, 10, 15, 20] }],
    ['30,0,30 * * * *', { ...any, minutes: [0, 30] }],
    ['* * */10 * *', { ...any, daysOfMonth: [1, 11, 21, 31] }],
    ['* * * jan,DEC *', { ...any, months: [1, 12] }],
    ['* * * mar-may *', { ...any, months: [3, 4, 5] }],
    ['* * * * MON-FRI', { ...any, daysOfWeek: [1, 2, 3, 4, 5] }],
    ['* * * * FRI-SUN', { ...any, daysOfWeek: [0, 5, 6] }],
    ['* * * * 5-7', { ...any, daysOfWeek: [0, 5, 6] }],
    ['* * * * 7', { ...any, daysOfWeek: [0] }],
    ['* * * * SUN-TUE', { ...any, daysOfWeek: [0, 1, 2] }],
    ['* * * * */2', { ...any, daysOfWeek: [0, 2, 4, 6] }],
  ])('reads %s', (expression, fields) => {
    expect(parseCron(expression)).toEqual(fields);
  });

  it.each([
    ['', 'nothing'],
    ['0 8 * *', 'four fields'],
    ['0 0 8 * * *', 'seconds'],
    ['@daily', 'a nickname'],
    ['CRON_TZ=UTC 0 8 * * *', 'a zone of its own'],
    ['60 * * * *', 'minute 60'],
    ['* 24 * * *', 'hour 24'],
    ['* * 0 * *', 'day 0'],
    ['* * 32 * *', 'day 32'],
    ['* * * 13 *', 'month 13'],
    ['* * * * 8', 'weekday 8'],
    ['*/0 * * * *', 'step 0'],
    ['5/15 * * * *', 'a step without a range, which means different things to different readers'],
    ['20-10 * * * *', 'a range that runs backwards'],
    ['* * * * FRI-MON', 'a week range over its end'],
    ['* * L * *', 'last day'],
    ['* * 15W * *', 'nearest weekday'],
    ['* * * * 5#2', 'second Friday'],
    ['? * * * *', 'the current minute'],
    ['* * * FOO *', 'an unknown name'],
    ['1,,2 * * * *', 'an empty list item'],
    ['-1 * * * *', 'a negative number'],
    ['1.5 * * * *', 'a fraction'],
    ['٣ * * * *', 'digits of another script'],
  ])('refuses %s: %s', (expression) => {
    expect(parseCron(expression)).toBeNull();
  });

  it('never throws, whatever the text', () => {
    const field = fc.stringMatching(/^[0-9*,/\-A-Za-z#?]{1,8}$/);
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.tuple(field, field, field, field, field)), (input) => {
        const fields = parseCron(typeof input === 'string' ? input : input.join(' '));
        for (const time of fields === null ? [] : cronOccurrences(fields, 0)) {
          expect(time).toBeGreaterThan(0);
          break;
        }
      }),
    );
  });
});

describe('cronOccurrences', () => {
  it('two restricted day fields mean either of them', () => {
    expect(occurrences('0 0 13 * FRI', '2026-02-01T00:00:00Z', 4)).toEqual([
      '2026-02-06T00:00:00.000Z',
      '2026-02-13T00:00:00.000Z',
      '2026-02-20T00:00:00.000Z',
      '2026-02-27T00:00:00.000Z',
    ]);
    expect(occurrences('0 0 13 3 FRI', '2026-03-07T00:00:00Z', 3)).toEqual([
      '2026-03-13T00:00:00.000Z',
      '2026-03-20T00:00:00.000Z',
      '2026-03-27T00:00:00.000Z',
    ]);
  });

  it('the start itself is not an occurrence', () => {
    expect(occurrences('0 8 * * *', '2026-02-01T08:00:00Z', 1)).toEqual(['2026-02-02T08:00:00.000Z']);
  });

  it.each(['0 0 31 2 *', '0 0 30 2 *', '0 0 31 4,6,9,11 *'])('%s never comes', (expression) => {
    expect(occurrences(expression, '2026-01-01T00:00:00Z', 1)).toEqual([]);
  });

  it('29 February comes in leap years, and a weekday beside an impossible day still counts', () => {
    expect(occurrences('0 0 29 2 *', '2026-01-01T00:00:00Z', 2)).toEqual([
      '2028-02-29T00:00:00.000Z',
      '2032-02-29T00:00:00.000Z',
    ]);
    expect(occurrences('0 0 31 2 MON', '2026-01-01T00:00:00Z', 1)).toEqual(['2026-02-02T00:00:00.000Z']);
  });
});

import { describe, expect, it } from 'vitest';
import type { Cadence } from '#domain/wire/mission.ts';
import { nextFires } from './next-fires.ts';

const BERLIN = 'Europe/Berlin';
const at = (iso: string): number => Date.parse(iso);

/** @param nextRunAt ISO, or null for none */
const firesOf = (
  cadence: Cadence,
  nextRunAt: string | null,
  now: string,
  timeZone = BERLIN,
  count = 5,
): string[] => {
  const nextRunAtMs = nextRunAt === null ? null : at(nextRunAt);
  return nextFires({ cadence, nextRunAtMs, timeZone }, at(now), count).map((ms) =>
    new Date(ms).toISOString(),
  );
};
const dailyAt = (atHour: number, atMinute: number): Cadence => ({ kind: 'daily', atHour, atMinute });

describe('the next fires of a mission', () => {
  it('are its instant and then the cadence, five of them', () => {
    expect(firesOf(dailyAt(8, 0), '2026-06-01T06:00:00.000Z', '2026-06-01T00:00:00Z')).toEqual([
      '2026-06-01T06:00:00.000Z',
      '2026-06-02T06:00:00.000Z',
      '2026-06-03T06:00:00.000Z',
      '2026-06-04T06:00:00.000Z',
      '2026-06-05T06:00:00.000Z',
    ]);
  });

  it('keep the local hour over the gap day, on which 02:30 means 01:30Z', () => {
    expect(firesOf(dailyAt(2, 30), '2027-03-27T01:30:00.000Z', '2027-03-27T00:00:00Z', BERLIN, 3)).toEqual([
      '2027-03-27T01:30:00.000Z',
      '2027-03-28T01:30:00.000Z',
      '2027-03-29T00:30:00.000Z',
    ]);
  });

  it('take the first of the two 02:30 on the day of the fold, once', () => {
    expect(firesOf(dailyAt(2, 30), '2026-10-24T00:30:00.000Z', '2026-10-24T00:00:00Z', BERLIN, 3)).toEqual([
      '2026-10-24T00:30:00.000Z',
      '2026-10-25T00:30:00.000Z',
      '2026-10-26T01:30:00.000Z',
    ]);
  });

  it('begin with a snoozed instant, milliseconds included, before the cadence goes on', () => {
    expect(firesOf(dailyAt(8, 0), '2026-06-01T09:12:13.456Z', '2026-06-01T00:00:00Z', BERLIN, 2)).toEqual([
      '2026-06-01T09:12:13.456Z',
      '2026-06-02T06:00:00.000Z',
    ]);
  });

  it('lie on the grid of the instant for an interval, also if it has passed', () => {
    const every90: Cadence = { kind: 'interval', everyMinutes: 90 };
    expect(firesOf(every90, '2026-06-01T06:00:00.500Z', '2026-06-01T08:00:00Z', BERLIN, 2)).toEqual([
      '2026-06-01T09:00:00.500Z',
      '2026-06-01T10:30:00.500Z',
    ]);
  });

  it('need no instant for cron', () => {
    const monthly: Cadence = { kind: 'cron', expression: '30 7 1 * *' };
    expect(firesOf(monthly, null, '2026-06-15T00:00:00Z', BERLIN, 2)).toEqual([
      '2026-07-01T05:30:00.000Z',
      '2026-08-01T05:30:00.000Z',
    ]);
    expect(firesOf(monthly, null, '2026-06-15T00:00:00Z', 'Asia/Kolkata', 1)).toEqual([
      '2026-07-01T02:00:00.000Z',
    ]);
  });

  it('are one for a manual mission with an instant set by hand, none once it has passed', () => {
    const instant = '2026-06-01T06:00:00.000Z';
    expect(firesOf({ kind: 'manual' }, instant, '2026-06-01T05:00:00Z')).toEqual([instant]);
    expect(firesOf({ kind: 'manual' }, instant, instant)).toEqual([]);
  });

  it.each<[string, Cadence]>([
    ['manual', { kind: 'manual' }],
    ['interval', { kind: 'interval', everyMinutes: 5 }],
    ['daily', dailyAt(8, 0)],
    ['a cron expression for February 30th', { kind: 'cron', expression: '0 0 30 2 *' }],
  ])('are none for %s without an instant', (_, cadence) => {
    expect(firesOf(cadence, null, '2026-06-01T05:00:00Z')).toEqual([]);
  });

  it('end with the calendars of the server, in the year 2099', () => {
    expect(firesOf(dailyAt(8, 0), '2100-06-01T06:00:00.000Z', '2026-06-01T00:00:00Z')).toEqual([]);
  });
});

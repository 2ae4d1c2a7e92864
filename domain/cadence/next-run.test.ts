import { describe, expect, it } from 'vitest';
import type { Cadence } from '#domain/wire/mission.ts';
import { nextRunAtAfter } from './next-run.ts';

const NOW = Date.parse('2026-05-04T12:00:30.500Z');
const every30: Cadence = { kind: 'interval', everyMinutes: 30 };
const after = (cadence: Cadence | null, nextRunAt: string | null, timeZone = 'Europe/Berlin') =>
  nextRunAtAfter({ cadence, nextRunAt }, NOW, timeZone);

describe('nextRunAtAfter', () => {
  it('is the first instant after now on the grid of the old one, milliseconds included', () => {
    expect(after(every30, '2026-05-04T12:00:15.193Z')).toBe('2026-05-04T12:30:15.193Z');
    expect(after(every30, '2026-05-01T00:07:15.193Z')).toBe('2026-05-04T12:07:15.193Z');
    expect(after(every30, '2026-05-04T14:00:30.500+02:00')).toBe('2026-05-04T12:30:30.500Z');
  });

  it('follows the wall clock of the user for daily, weekly and cron', () => {
    expect(after({ kind: 'daily', atHour: 8, atMinute: 15 }, '2026-05-04T06:15:00.000Z')).toBe(
      '2026-05-05T06:15:00.000Z',
    );
    expect(after({ kind: 'weekly', dayOfWeek: 0, atHour: 9 }, '2026-05-03T07:00:00.000Z')).toBe(
      '2026-05-10T07:00:00.000Z',
    );
    expect(after({ kind: 'cron', expression: '0 20 * * *' }, '2026-05-03T18:00:00.000Z')).toBe(
      '2026-05-04T18:00:00.000Z',
    );
  });

  it('leaves an instant that lies ahead, because the user moved it meanwhile', () => {
    expect(after(every30, '2026-05-04T12:00:30.501Z')).toBeUndefined();
    expect(after({ kind: 'manual' }, '2026-06-01T00:00:00.000Z')).toBeUndefined();
  });

  it('clears one that was set by hand on a manual mission, and leaves a manual mission without one', () => {
    expect(after({ kind: 'manual' }, '2026-05-04T12:00:00.000Z')).toBeNull();
    expect(after({ kind: 'manual' }, null)).toBeUndefined();
  });

  it('computes the first one of a cron mission that never had any', () => {
    expect(after({ kind: 'cron', expression: '0 * * * *' }, null)).toBe('2026-05-04T13:00:00.000Z');
  });

  it.each([
    ['no readable cadence', null, '2026-05-04T12:00:00.000Z'],
    ['an interval without an anchor', every30, null],
    ['an interval with an unreadable anchor', every30, 'soon'],
    [
      'a cron expression that never comes',
      { kind: 'cron', expression: '0 0 31 2 *' },
      '2026-05-04T12:00:00.000Z',
    ],
    ['a cron expression that is none', { kind: 'cron', expression: 'every day' }, '2026-05-04T12:00:00.000Z'],
  ] as const)('has nothing to say for %s', (_, cadence, nextRunAt) => {
    expect(after(cadence, nextRunAt)).toBeUndefined();
  });
});

import { describe, expect, it } from 'vitest';
import { nextCadenceInstant } from './cadence.ts';
import type { Cadence } from '#domain/wire/mission.ts';
import { zonedCadence } from './zoned-cadence.ts';

const nextAfter = (cadence: Cadence, timeZone: string | null, anchor: string, after: string): string => {
  const next = nextCadenceInstant({
    ...zonedCadence(cadence, timeZone),
    anchorMs: Date.parse(anchor),
    afterMs: Date.parse(after),
  });
  return next === null ? 'none' : new Date(next).toISOString();
};

describe('zonedCadence', () => {
  const daily: Cadence = { kind: 'daily', atHour: 8, atMinute: 0 };
  const weekly: Cadence = { kind: 'weekly', dayOfWeek: 1, atHour: 8 };

  it('keeps the local hour that the device computed, where no zone is known', () => {
    // 08:00 in Berlin in winter.
    const anchor = '2026-11-23T07:00:00.000Z';
    expect(nextAfter(daily, null, anchor, '2026-11-23T07:00:05.000Z')).toBe('2026-11-24T07:00:00.000Z');
    expect(nextAfter(weekly, null, anchor, '2026-11-23T07:00:05.000Z')).toBe('2026-11-30T07:00:00.000Z');
  });

  it('follows clock changes, where the zone is known', () => {
    const anchor = '2026-10-24T06:00:00.000Z';
    expect(nextAfter(daily, 'Europe/Berlin', anchor, anchor)).toBe('2026-10-25T07:00:00.000Z');
  });

  it('reads cron in UTC, where no zone is known', () => {
    const cron: Cadence = { kind: 'cron', expression: '0 8 * * *' };
    const anchor = '2026-11-23T07:00:00.000Z';
    expect(nextAfter(cron, null, anchor, anchor)).toBe('2026-11-23T08:00:00.000Z');
  });
});

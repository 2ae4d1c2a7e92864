import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cadencePeriodMs, hasClockChange, isTimeZone, nextCadenceInstant } from './cadence.ts';
import type { Cadence } from '#domain/wire/mission.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** One minute on the wall clock of a zone and the instant that the web app gives it. */
interface WallMinute {
  readonly instantMs: number;
  readonly minute: number;
  readonly hour: number;
  readonly day: number;
  readonly weekday: number;
}

/**
 * The oracle: walks through UTC minutes and looks at the clock. A minute seen before (fold) is left out; minutes that
 * the clock jumps over (gap) come at the jump plus their distance from it.
 */
function wallMinutes(timeZone: string, fromMs: number, toMs: number): WallMinute[] {
  const clock = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
  });
  const found: WallMinute[] = [];
  let expectedWallMs: number | null = null;
  for (let utcMs = fromMs; utcMs < toMs; utcMs += MINUTE_MS) {
    const parts = Object.fromEntries(
      clock.formatToParts(utcMs).map(({ type, value }) => [type, Number(value)]),
    );
    const { year = NaN, month = NaN, day = NaN, hour = NaN, minute = NaN } = parts;
    const wallMs = Date.UTC(year, month - 1, day, hour, minute);
    const firstWallMs: number = expectedWallMs ?? wallMs;
    for (let missed = firstWallMs; missed <= wallMs; missed += MINUTE_MS) {
      const wall = new Date(missed);
      found.push({
        instantMs: missed === wallMs ? utcMs : utcMs + (missed - firstWallMs),
        minute: wall.getUTCMinutes(),
        hour: wall.getUTCHours(),
        day: wall.getUTCDate(),
        weekday: wall.getUTCDay(),
      });
    }
    expectedWallMs = Math.max(firstWallMs, wallMs + MINUTE_MS);
  }
  return found;
}

/** Days around which the clocks change, and two zones where they never do; ten years: `cadence-ten-years.test.ts`. */
const WINDOWS: readonly (readonly [string, readonly string[]])[] = [
  ['Europe/Berlin', ['2026-03-29', '2026-10-25']],
  ['America/New_York', ['2026-03-08', '2026-11-01']],
  ['Australia/Lord_Howe', ['2026-04-05', '2026-10-04']],
  ['Asia/Kolkata', ['2026-03-29']],
  ['UTC', ['2026-03-29']],
];

const daily = (atHour: number, atMinute: number): Cadence => ({ kind: 'daily', atHour, atMinute });
const cron = (expression: string): Cadence => ({ kind: 'cron', expression });
const dailyCase = (hour: number, minute: number): [Cadence, (wall: WallMinute) => boolean] => [
  daily(hour, minute),
  (wall) => wall.hour === hour && wall.minute === minute,
];
const CASES: readonly (readonly [Cadence, (wall: WallMinute) => boolean])[] = [
  dailyCase(0, 0),
  dailyCase(1, 30),
  dailyCase(1, 45),
  dailyCase(2, 0),
  dailyCase(2, 15),
  dailyCase(2, 30),
  dailyCase(3, 0),
  dailyCase(23, 59),
  [
    { kind: 'weekly', dayOfWeek: 0, atHour: 2 },
    (wall) => wall.weekday === 0 && wall.hour === 2 && wall.minute === 0,
  ],
  [cron('*/10 * * * *'), (wall) => wall.minute % 10 === 0],
  [cron('25,40 2 * * *'), (wall) => wall.hour === 2 && (wall.minute === 25 || wall.minute === 40)],
  [cron('15 1-3 * * *'), (wall) => wall.hour >= 1 && wall.hour <= 3 && wall.minute === 15],
  [
    cron('30 2 5 * SUN'),
    (wall) => wall.hour === 2 && wall.minute === 30 && (wall.day === 5 || wall.weekday === 0),
  ],
];

/** All instants of a cadence in a window, each found from the one before. */
function chain(cadence: Cadence, timeZone: string, fromMs: number, toMs: number): number[] {
  const instants: number[] = [];
  for (let afterMs = fromMs; ;) {
    const next = nextCadenceInstant({ cadence, anchorMs: 0, afterMs, timeZone });
    if (next === null || next > toMs) return instants;
    instants.push(next);
    afterMs = next;
  }
}

const next = (cadence: Cadence, after: string, timeZone = 'Europe/Berlin'): string | null => {
  const instant = nextCadenceInstant({ cadence, anchorMs: 0, afterMs: Date.parse(after), timeZone });
  return instant === null ? null : new Date(instant).toISOString();
};

describe('nextCadenceInstant on the wall clock', () => {
  for (const [timeZone, days] of WINDOWS) {
    it.each(days)(`equals the clock of ${timeZone} minute by minute around %s`, (day) => {
      const fromMs = Date.parse(`${day}T00:00:00Z`) - 2 * DAY_MS;
      const toMs = fromMs + 5 * DAY_MS;
      const walls = wallMinutes(timeZone, fromMs - DAY_MS, toMs + DAY_MS);
      for (const [cadence, matches] of CASES) {
        const expected = walls.filter(matches).map(({ instantMs }) => instantMs);
        const inWindow = [...new Set(expected)].filter((instant) => instant > fromMs && instant <= toMs);
        expect(chain(cadence, timeZone, fromMs, toMs), JSON.stringify(cadence)).toEqual(
          inWindow.sort((a, b) => a - b),
        );
      }
    });
  }

  it('a time in the gap moves on by the gap, as in the web app', () => {
    expect(next(daily(2, 30), '2026-03-28T12:00:00Z')).toBe('2026-03-29T01:30:00.000Z');
    expect(next(daily(2, 30), '2026-03-29T01:10:00Z')).toBe('2026-03-29T01:30:00.000Z');
  });

  it('a time that occurs twice means the first, once', () => {
    expect(next(daily(2, 30), '2026-10-24T12:00:00Z')).toBe('2026-10-25T00:30:00.000Z');
    expect(next(daily(2, 30), '2026-10-25T00:30:00Z')).toBe('2026-10-26T01:30:00.000Z');
    expect(next(daily(2, 30), '2026-10-25T01:10:00Z')).toBe('2026-10-26T01:30:00.000Z');
  });

  it('a zone that leaves out a whole day keeps its missions', () => {
    expect(next(daily(12, 0), '2011-12-30T00:00:00Z', 'Pacific/Apia')).toBe('2011-12-30T22:00:00.000Z');
  });

  it('the instant itself is not after itself, a millisecond before it is', () => {
    expect(next(daily(8, 0), '2026-01-10T07:00:00.000Z')).toBe('2026-01-11T07:00:00.000Z');
    expect(next(daily(8, 0), '2026-01-10T06:59:59.999Z')).toBe('2026-01-10T07:00:00.000Z');
  });
});

describe('nextCadenceInstant on a grid', () => {
  it('gives the first grid point after, and never one before the anchor', () => {
    const instant = fc.integer({ min: 0, max: Date.UTC(2200, 0, 1) });
    const everyMinutes = fc.integer({ min: 1, max: 525_600 });
    fc.assert(
      fc.property(instant, instant, everyMinutes, (anchorMs, afterMs, minutes) => {
        const cadence: Cadence = { kind: 'interval', everyMinutes: minutes };
        const found = nextCadenceInstant({ cadence, anchorMs, afterMs, timeZone: 'UTC' }) ?? NaN;
        expect(found).toBeGreaterThan(afterMs);
        expect(found).toBeGreaterThanOrEqual(anchorMs);
        expect((found - anchorMs) % (minutes * MINUTE_MS)).toBe(0);
        expect(found === anchorMs || found - minutes * MINUTE_MS <= afterMs).toBe(true);
      }),
    );
  });
});

describe('nextCadenceInstant without an answer', () => {
  it.each<[string, Cadence]>([
    ['manual', { kind: 'manual' }],
    ['an unreadable cron', cron('whenever')],
    ['a date that no year has', cron('0 0 31 2 *')],
    ['an hour that no day has', daily(25, 0)],
    ['an interval of nothing', { kind: 'interval', everyMinutes: 0 }],
  ])('%s has no next instant', (_, cadence) => {
    expect(next(cadence, '2026-01-01T00:00:00Z')).toBeNull();
  });

  it.each([NaN, Infinity, -Infinity, 8.64e15, -8.64e15, 1e300])(
    'an instant of %d throws nothing',
    (afterMs) => {
      for (const cadence of [
        daily(8, 0),
        { kind: 'interval', everyMinutes: 5 } as const,
        cron('0 0 29 2 *'),
      ]) {
        for (const anchorMs of [0, afterMs]) {
          const instant = nextCadenceInstant({ cadence, anchorMs, afterMs, timeZone: 'America/New_York' });
          expect(instant === null || instant > afterMs).toBe(true);
        }
      }
    },
  );

  it('an unknown time zone is an error, not UTC', () => {
    expect(() => next(daily(8, 0), '2026-01-01T00:00:00Z', 'Nowhere/Land')).toThrow(RangeError);
  });
});

describe('cadencePeriodMs', () => {
  it.each<[Cadence, number | null]>([
    [{ kind: 'manual' }, null],
    [{ kind: 'interval', everyMinutes: 90 }, 90 * MINUTE_MS],
    [daily(8, 0), DAY_MS],
    [{ kind: 'weekly', dayOfWeek: 1, atHour: 8 }, 7 * DAY_MS],
    [cron('*/15 * * * *'), 15 * MINUTE_MS],
    [cron('0 8 * * MON-FRI'), DAY_MS],
    [cron('0 8,9 1 * *'), HOUR_MS],
    [cron('0 0 1 * *'), 28 * DAY_MS],
    [cron('0 0 31 2 *'), null],
    [cron('nonsense'), null],
  ])('%j', (cadence, periodMs) => {
    expect(cadencePeriodMs(cadence)).toBe(periodMs);
  });
});

describe('isTimeZone', () => {
  it('accepts every zone of the runtime and the older names that browsers report', () => {
    const names = [
      ...Intl.supportedValuesOf('timeZone'),
      'UTC',
      'Asia/Calcutta',
      'Asia/Kolkata',
      'Etc/GMT-2',
    ];
    expect(names.filter((name) => !isTimeZone(name))).toEqual([]);
  });

  it.each([
    '',
    ' ',
    'europe/berlin',
    'EUROPE/BERLIN',
    '+02:00',
    '-05',
    'Mars/Base',
    'Europe/Berlin ',
    '../etc/passwd',
    'Z',
  ])('refuses %j, which the Temporal server does not know', (name) => {
    expect(isTimeZone(name)).toBe(false);
  });
});

it('hasClockChange sees the change of a zone within two instants only', () => {
  const change = Date.parse('2026-03-29T01:00:00Z');
  expect(hasClockChange('Europe/Berlin', change - HOUR_MS, change + HOUR_MS)).toBe(true);
  expect(hasClockChange('Europe/Berlin', change, change + HOUR_MS)).toBe(false);
  expect(hasClockChange('Europe/Berlin', change - HOUR_MS, change - 1)).toBe(false);
  expect(hasClockChange('UTC', 0, change)).toBe(false);
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Cadence } from '#domain/wire/mission.ts';
import {
  canonicalSpec,
  missionScheduleSpec,
  nextFireMs,
  wouldFireNextAt,
  type MissionScheduleSpec,
  type MissionTiming,
} from './schedule-spec.ts';

const DAY_MS = 86_400_000;
const ONCE_EVERY_MS = 18_250 * DAY_MS;
const anyDate = { daysOfMonth: null, months: null, daysOfWeek: null };

const manual: Cadence = { kind: 'manual' };
const dailyAt8: Cadence = { kind: 'daily', atHour: 8, atMinute: 0 };
const every45: Cadence = { kind: 'interval', everyMinutes: 45 };
const cron = (expression: string): Cadence => ({ kind: 'cron', expression });

const timing = (cadence: Cadence, nextRunAt: string | null, timeZone = 'Europe/Berlin'): MissionTiming => ({
  cadence,
  nextRunAtMs: nextRunAt === null ? null : Date.parse(nextRunAt),
  timeZone,
});

function spec(cadence: Cadence, nextRunAt: string | null, timeZone?: string): MissionScheduleSpec {
  const made = missionScheduleSpec(timing(cadence, nextRunAt, timeZone));
  if (made === null) throw new Error('no spec');
  return made;
}

const fires = (made: MissionScheduleSpec, after: string, count: number): string[] => {
  const found: string[] = [];
  let afterMs = Date.parse(after);
  while (found.length < count) {
    const fire = nextFireMs(made, afterMs);
    if (fire === null) break;
    found.push(new Date(fire).toISOString());
    afterMs = fire;
  }
  return found;
};

describe('missionScheduleSpec', () => {
  it('a daily mission fires at nextRunAt, then at the wall clock of its zone, spread by two minutes', () => {
    const startAtMs = Date.parse('2026-01-10T07:00:00Z');
    expect(spec(dailyAt8, '2026-01-10T07:00:00.000Z')).toEqual({
      startAtMs,
      intervals: [{ everyMs: ONCE_EVERY_MS, offsetMs: startAtMs % ONCE_EVERY_MS }],
      calendars: [{ minutes: [0], hours: [8], ...anyDate }],
      timeZone: 'Europe/Berlin',
      jitterMs: 120_000,
    });
  });

  it('an interval keeps the phase of nextRunAt, rounded up to the second, without zone or jitter', () => {
    const startAtMs = Date.parse('2026-01-10T07:00:01Z');
    const everyMs = 45 * 60_000;
    expect(spec(every45, '2026-01-10T07:00:00.123Z')).toEqual({
      startAtMs,
      intervals: [{ everyMs, offsetMs: startAtMs % everyMs }],
      calendars: [],
      timeZone: 'UTC',
      jitterMs: 0,
    });
  });

  it('a manual or unreadable cadence with nextRunAt fires once, at it', () => {
    for (const cadence of [manual, cron('whenever')]) {
      const made = spec(cadence, '2026-01-10T07:00:00.001Z');
      expect(fires(made, '2026-01-01T00:00:00Z', 1)).toEqual(['2026-01-10T07:00:01.000Z']);
      expect(nextFireMs(made, Date.parse('2026-01-10T07:00:01Z'))).toBeGreaterThan(Date.UTC(2075, 0, 1));
    }
  });

  it('cron without nextRunAt follows the expression alone', () => {
    const made = spec(cron('*/5 * * * *'), null);
    expect(made).toMatchObject({ startAtMs: null, intervals: [], jitterMs: 30_000 });
    expect(fires(made, '2026-01-10T07:00:00Z', 1)).toEqual(['2026-01-10T07:05:00.000Z']);
  });

  it('two restricted day fields become two calendars, because the server wants all fields of one to match', () => {
    const made = spec(cron('0 8 13 * FRI'), null);
    expect(made.calendars).toEqual([
      { minutes: [0], hours: [8], daysOfMonth: [13], months: null, daysOfWeek: null },
      { minutes: [0], hours: [8], daysOfMonth: null, months: null, daysOfWeek: [5] },
    ]);
    expect(fires(made, '2026-01-10T00:00:00Z', 2)).toEqual([
      '2026-01-13T07:00:00.000Z',
      '2026-01-16T07:00:00.000Z',
    ]);
  });

  it.each<[string, Cadence, string | null]>([
    ['manual without nextRunAt', manual, null],
    ['daily without nextRunAt', dailyAt8, null],
    ['an interval without nextRunAt', every45, null],
    ['an unreadable cron without nextRunAt', cron('whenever'), null],
    ['nextRunAt beyond what the server computes', dailyAt8, '9999-01-01T00:00:00Z'],
    ['cron with nextRunAt beyond what the server computes', cron('0 8 * * *'), '9999-01-01T00:00:00Z'],
    ['nextRunAt that is no time', dailyAt8, 'soon'],
  ])('%s has no schedule', (_, cadence, nextRunAt) => {
    expect(missionScheduleSpec(timing(cadence, nextRunAt))).toBeNull();
  });

  it('a nextRunAt before 1970 counts as 1970: it has passed either way', () => {
    expect(spec(every45, '0001-01-01T00:00:00Z')).toMatchObject({ startAtMs: 0 });
  });

  it('in a DST gap the first run is where the web app put it, which the calendar alone would leave out', () => {
    const at0230: Cadence = { kind: 'daily', atHour: 2, atMinute: 30 };
    expect(fires(spec(at0230, '2026-03-29T01:30:00Z'), '2026-03-28T12:00:00Z', 2)).toEqual([
      '2026-03-29T01:30:00.000Z',
      '2026-03-30T00:30:00.000Z',
    ]);
  });
});

describe('jitter', () => {
  it('is a tenth of the period, at most two minutes', () => {
    expect(spec(cron('*/10 * * * *'), null).jitterMs).toBe(60_000);
    expect(spec(cron('0 8 * * *'), null).jitterMs).toBe(120_000);
    expect(spec({ kind: 'weekly', dayOfWeek: 6, atHour: 8 }, '2026-01-10T07:00:00Z').jitterMs).toBe(120_000);
  });

  it('a time set by hand is met exactly', () => {
    expect(spec(dailyAt8, '2026-01-10T07:00:01Z').jitterMs).toBe(0);
    expect(spec(dailyAt8, '2026-01-10T07:00:00.001Z').jitterMs).toBe(0);
    expect(spec(manual, '2026-01-10T07:00:00Z').jitterMs).toBe(0);
  });
});

describe('nextFireMs', () => {
  it('gives instants strictly after, none before the start, and the whole grid of an interval', () => {
    const instant = fc.integer({ min: Date.UTC(2020, 0, 1), max: Date.UTC(2090, 0, 1) });
    fc.assert(
      fc.property(
        instant,
        instant,
        fc.integer({ min: 1, max: 10_000 }),
        (nextRunAtMs, afterMs, everyMinutes) => {
          const made = missionScheduleSpec({
            cadence: { kind: 'interval', everyMinutes },
            nextRunAtMs,
            timeZone: 'UTC',
          });
          const first = Math.ceil(nextRunAtMs / 1000) * 1000;
          const fire = (made && nextFireMs(made, afterMs)) ?? NaN;
          expect(fire).toBeGreaterThan(afterMs);
          expect(fire).toBeGreaterThanOrEqual(first);
          expect((fire - first) % (everyMinutes * 60_000)).toBe(0);
          expect(fire === first || fire - everyMinutes * 60_000 <= afterMs).toBe(true);
        },
      ),
    );
  });

  it('the start itself is a fire', () => {
    expect(fires(spec(every45, '2026-01-10T07:00:00Z'), '2026-01-10T06:59:59.999Z', 1)).toEqual([
      '2026-01-10T07:00:00.000Z',
    ]);
  });
});

describe('wouldFireNextAt', () => {
  const now = Date.parse('2026-01-10T07:00:40Z');
  const present = timing(dailyAt8, '2026-01-10T07:00:00Z');

  it('after a run on the cadence no update is needed', () => {
    expect(wouldFireNextAt(present, timing(dailyAt8, '2026-01-11T07:00:00Z'), now)).toBe(true);
    const grid = timing(every45, '2026-01-10T07:00:00.500Z');
    expect(wouldFireNextAt(grid, timing(every45, '2026-01-10T07:45:00.500Z'), now)).toBe(true);
    expect(wouldFireNextAt(timing(cron('0 8 * * *'), null), timing(cron('0 8 * * *'), null), now)).toBe(true);
  });

  it.each<[string, MissionTiming]>([
    ['another instant', timing(dailyAt8, '2026-01-12T07:00:00Z')],
    ['an instant set by hand', timing(dailyAt8, '2026-01-11T07:00:30Z')],
    [
      'another zone with the same instant',
      timing({ ...dailyAt8, atHour: 7 }, '2026-01-11T07:00:00Z', 'Europe/London'),
    ],
    [
      'another cadence with the same instant',
      timing({ kind: 'weekly', dayOfWeek: 0, atHour: 8 }, '2026-01-11T07:00:00Z'),
    ],
    [
      'an interval with the same instant',
      timing({ kind: 'interval', everyMinutes: 1440 }, '2026-01-11T07:00:00Z'),
    ],
    ['nothing to fire', timing(dailyAt8, null)],
  ])('%s needs an update', (_, desired) => {
    expect(wouldFireNextAt(present, desired, now)).toBe(false);
  });

  it('a schedule that lost its jitter to a time set by hand gets it back', () => {
    const byHand = timing(dailyAt8, '2026-01-10T07:00:30Z');
    expect(wouldFireNextAt(byHand, timing(dailyAt8, '2026-01-11T07:00:00Z'), now)).toBe(false);
  });

  it('near a clock change the update is always sent, elsewhere not', () => {
    const at0230: Cadence = { kind: 'daily', atHour: 2, atMinute: 30 };
    const start = timing(at0230, '2026-03-20T01:30:00Z');
    const claims = [
      '03-27T01:30',
      '03-28T01:30',
      '03-29T01:30',
      '03-30T00:30',
      '03-31T00:30',
      '04-01T00:30',
    ].map((day) => {
      const desired = timing(at0230, `2026-${day}:00Z`);
      return wouldFireNextAt(start, desired, (desired.nextRunAtMs ?? NaN) - 23 * 3_600_000);
    });
    expect(claims).toEqual([true, false, false, false, false, true]);
  });
});

describe('canonicalSpec', () => {
  it('is the same for specs that fire alike and differs in every part that matters', () => {
    expect(canonicalSpec(spec(cron('0 8 * * MON,TUE'), null))).toBe(
      canonicalSpec(spec(cron('0 8 * * 1-2'), null)),
    );
    const texts = [
      spec(dailyAt8, '2026-01-10T07:00:00Z'),
      spec(dailyAt8, '2026-01-11T07:00:00Z'),
      spec(dailyAt8, '2026-01-10T07:00:01Z'),
      spec(dailyAt8, '2026-01-10T07:00:00Z', 'Europe/Paris'),
      spec({ ...dailyAt8, atMinute: 1 }, '2026-01-10T07:00:00Z'),
      spec(every45, '2026-01-10T07:00:00Z'),
      spec(manual, '2026-01-10T07:00:00Z'),
      spec(cron('0 8 1 * *'), null),
      spec(cron('0 8 * 1 *'), null),
      spec(cron('0 8 * * 1'), null),
    ].map(canonicalSpec);
    expect(new Set(texts).size).toBe(texts.length);
  });

  it('survives JSON', () => {
    const made = spec(cron('0 8 13 * FRI'), '2026-02-13T07:00:00Z');
    expect(JSON.parse(JSON.stringify(made))).toEqual(made);
  });
});

describe('a zone that the server does not follow', () => {
  const computed = (
    nextRunAt: string | null,
    from = '2026-01-01T00:00:00Z',
    cadence: Cadence = dailyAt8,
  ) => ({
    ...timing(cadence, nextRunAt, 'Canada/East-Saskatchewan'),
    computedFromMs: Date.parse(from),
  });

  it('the schedule holds the next sixteen instants, each once, and no calendar', () => {
    const made = missionScheduleSpec(computed('2026-01-10T14:00:00.000Z'));
    if (made === null) throw new Error('no spec');
    expect(made).toMatchObject({ calendars: [], timeZone: 'UTC', jitterMs: 120_000 });
    expect(made.intervals).toHaveLength(16);
    const found = fires(made, '2026-01-01T00:00:00Z', 16);
    expect(found.slice(0, 2)).toEqual(['2026-01-10T14:00:00.000Z', '2026-01-11T14:00:00.000Z']);
    expect(found.at(-1)).toBe('2026-01-25T14:00:00.000Z');
  });

  it('an instant set by hand comes first and is meant exactly; cron without one begins with its next', () => {
    expect(missionScheduleSpec(computed('2026-01-10T14:07:00.000Z'))).toMatchObject({ jitterMs: 0 });
    const made = missionScheduleSpec(computed(null, '2026-01-01T00:00:00Z', cron('30 6 * * *')));
    expect(made?.startAtMs).toBe(Date.parse('2026-01-01T12:30:00Z'));
    expect(missionScheduleSpec(computed(null))).toBeNull();
  });

  it('no update is sent while enough of the instants are ahead, and one is before they run out', () => {
    const present = computed('2026-01-10T14:00:00.000Z');
    const now = (day: number) => Date.parse(`2026-01-${day}T14:05:00Z`);
    expect(wouldFireNextAt(present, computed('2026-01-16T14:00:00.000Z'), now(15))).toBe(true);
    expect(wouldFireNextAt(present, computed('2026-01-23T14:00:00.000Z'), now(22))).toBe(false);
    expect(wouldFireNextAt(present, computed('2026-01-16T14:30:00.000Z'), now(15))).toBe(false);
  });

  it('another cadence with the same next instant, and the way to and from calendars, are sent', () => {
    const present = computed('2026-01-10T14:00:00.000Z');
    const nowMs = Date.parse('2026-01-09T00:00:00Z');
    const weekly = computed('2026-01-10T14:00:00.000Z', undefined, {
      kind: 'weekly',
      dayOfWeek: 6,
      atHour: 8,
    });
    expect(wouldFireNextAt(present, weekly, nowMs)).toBe(false);
    const calendars = timing(dailyAt8, '2026-01-10T14:00:00.000Z', 'Canada/East-Saskatchewan');
    expect(wouldFireNextAt(present, calendars, nowMs)).toBe(false);
    expect(wouldFireNextAt(calendars, present, nowMs)).toBe(false);
  });
});

import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { nextCadenceInstant } from './cadence.ts';
import type { Cadence } from '#domain/wire/mission.ts';
import { missionScheduleSpec, nextFireMs, wouldFireNextAt, type MissionTiming } from './schedule-spec.ts';
import type { LocalClockAnswer, LocalClockQuestion, LocalTimes } from '#test/support/local-clock-process.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const [FROM_YEAR, TO_YEAR] = [2026, 2035];
const ZONES = ['Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kolkata', 'UTC'] as const;

/** A cadence, and what it means, written by hand. */
type Case = readonly [Cadence, LocalTimes];
const daily = (atHour: number, atMinute: number): Case => [
  { kind: 'daily', atHour, atMinute },
  { hours: [atHour], minutes: [atMinute] },
];
const weekly = (dayOfWeek: number, atHour: number): Case => [
  { kind: 'weekly', dayOfWeek, atHour },
  { hours: [atHour], minutes: [0], daysOfWeek: [dayOfWeek] },
];
const cron = (expression: string, times: LocalTimes): Case => [{ kind: 'cron', expression }, times];

/** Compared over the whole of ten years: they come once a week or less. */
const SPARSE: readonly Case[] = [
  weekly(0, 2),
  weekly(3, 23),
  cron('30 2 29 FEB *', { minutes: [30], hours: [2], daysOfMonth: [29], months: [2] }),
  cron('0 2 1,15 * *', { minutes: [0], hours: [2], daysOfMonth: [1, 15] }),
  cron('15 0 */10 MAR,oct-NOV *', {
    ...{ minutes: [15], hours: [0] },
    ...{ daysOfMonth: [1, 11, 21, 31], months: [3, 10, 11] },
  }),
  cron('30 2 28-31 3,10 SUN', {
    ...{ minutes: [30], hours: [2] },
    ...{ daysOfMonth: [28, 29, 30, 31], months: [3, 10], daysOfWeek: [0] },
  }),
];
/** Compared in the days around each change of the clock in ten years; where there is none, around New Year. */
const DENSE: readonly Case[] = [
  daily(0, 0),
  daily(1, 30),
  daily(2, 0),
  daily(2, 15),
  daily(2, 30),
  daily(3, 0),
  daily(23, 59),
  cron('*/25 1-3 * * *', { minutes: [0, 25, 50], hours: [1, 2, 3] }),
  cron('30 2,8-18/5 * * sat-SUN', { minutes: [30], hours: [2, 8, 13, 18], daysOfWeek: [0, 6] }),
  cron('45 1 * * 5-7', { minutes: [45], hours: [1], daysOfWeek: [0, 5, 6] }),
];

const clocks = ((): Readonly<Record<string, LocalClockAnswer>> => {
  const times = [...SPARSE, ...DENSE].map(([, meant]) => meant);
  const question: LocalClockQuestion = { zones: ZONES, fromYear: FROM_YEAR, toYear: TO_YEAR, times };
  const script = fileURLToPath(new URL('../../test/support/local-clock-process.ts', import.meta.url));
  const output = execFileSync(process.execPath, [script], {
    ...{ input: JSON.stringify(question), encoding: 'utf8', maxBuffer: 64 * 1024 * 1024, timeout: 120_000 },
  });
  return JSON.parse(output) as Record<string, LocalClockAnswer>;
})();
/** The web app's instants, from a process whose local zone this is. */
const clockOf = (timeZone: string): LocalClockAnswer =>
  clocks[timeZone] ?? expect.fail('no answer for this zone');

const meantBy = (timeZone: string, index: number, fromMs: number, toMs: number): number[] =>
  (clockOf(timeZone).instants[index] ?? []).filter((instant) => instant > fromMs && instant <= toMs);

/** Each instant found from the one before. */
function chain(cadence: Cadence, timeZone: string, fromMs: number, toMs: number): number[] {
  const instants: number[] = [];
  for (let afterMs = fromMs; ;) {
    const next = nextCadenceInstant({ cadence, anchorMs: 0, afterMs, timeZone });
    if (next === null || next > toMs) return instants;
    instants.push(next);
    afterMs = next;
  }
}

const iso = (instants: readonly number[]): string[] => instants.map((ms) => new Date(ms).toISOString());

describe.each(ZONES)('ten years in %s', (timeZone) => {
  const fromMs = Date.UTC(FROM_YEAR, 0, 3);
  const toMs = Date.UTC(TO_YEAR, 11, 29);

  it('have the web app’s instants exactly, each once, for what comes once a week or less', () => {
    SPARSE.forEach(([cadence], index) => {
      const expected = meantBy(timeZone, index, fromMs, toMs);
      expect(expected.length, JSON.stringify(cadence)).toBeGreaterThan(1);
      expect(iso(chain(cadence, timeZone, fromMs, toMs)), JSON.stringify(cadence)).toEqual(iso(expected));
    });
  });

  it('have the web app’s instants exactly, each once, around every change of the clock', () => {
    const { changes } = clockOf(timeZone);
    const hasChanges = timeZone !== 'Asia/Kolkata' && timeZone !== 'UTC';
    expect(changes).toHaveLength(hasChanges ? 2 * (TO_YEAR - FROM_YEAR + 1) : 0);
    const newYears = [2027, 2030, 2035].map((year) => Date.UTC(year, 0, 1));
    for (const atMs of hasChanges ? changes : newYears) {
      DENSE.forEach(([cadence], index) => {
        const [startMs, endMs] = [atMs - 1.5 * DAY_MS, atMs + 1.5 * DAY_MS];
        const expected = meantBy(timeZone, SPARSE.length + index, startMs, endMs);
        expect(iso(chain(cadence, timeZone, startMs, endMs)), JSON.stringify(cadence)).toEqual(iso(expected));
      });
    }
  });

  it('have no clock change for an interval', () => {
    const anchorMs = fromMs + 123;
    const cadence: Cadence = { kind: 'interval', everyMinutes: 1_440 };
    for (const atMs of [fromMs, ...clockOf(timeZone).changes]) {
      const next = nextCadenceInstant({ cadence, anchorMs, afterMs: atMs, timeZone }) ?? NaN;
      expect((next - anchorMs) % DAY_MS).toBe(0);
      expect(next - atMs).toBeLessThanOrEqual(DAY_MS);
    }
  });
});

describe('a schedule whose nextRunAt moves on after each run', () => {
  const index =
    SPARSE.length + DENSE.findIndex(([cadence]) => JSON.stringify(cadence).includes('"atMinute":30'));

  it.each(['Europe/Berlin', 'Australia/Lord_Howe'] as const)(
    'fires at the web app’s instants over a year in %s, and is seldom sent anew',
    (timeZone) => {
      const [cadence] = DENSE[index - SPARSE.length] ?? expect.fail('no such case');
      const instants = meantBy(timeZone, index, Date.UTC(2026, 2, 1), Date.UTC(2027, 4, 1));
      let applied: MissionTiming = { cadence, timeZone, nextRunAtMs: instants[0] ?? NaN };
      let updates = 0;
      for (const [at, ranMs] of instants.entries()) {
        const nextMs = instants[at + 1];
        if (nextMs === undefined) break;
        // A run takes a while, and moves `nextRunAt` on at its end.
        const [nowMs, wanted] = [ranMs + 30_000, { cadence, timeZone, nextRunAtMs: nextMs }];
        if (!wouldFireNextAt(applied, wanted, nowMs)) {
          applied = wanted;
          updates += 1;
        }
        const spec = missionScheduleSpec(applied) ?? expect.fail('no schedule');
        expect(nextFireMs(spec, nowMs)).toBe(nextMs);
      }
      expect(updates).toBeLessThan(20);
    },
  );
});

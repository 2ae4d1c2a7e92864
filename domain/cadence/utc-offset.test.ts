import { describe, expect, it } from 'vitest';
import type { Cadence } from '#domain/wire/mission.ts';
import {
  offsetShownBy,
  takeInInstant,
  timeZoneOfOffset,
  UNKNOWN_OFFSET,
  type DeviceOffset,
  type ShownInstant,
} from './utc-offset.ts';

const MINUTE_MS = 60_000;
const WINTER_MS = Date.UTC(2026, 0, 15, 12);
const SUMMER_MS = Date.UTC(2026, 6, 15, 12);

/** Local time minus UTC, in minutes. */
function offsetAt(timeZone: string, ms: number): number {
  const format = new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short', timeStyle: 'medium' });
  return (Date.parse(`${format.format(ms).replace(' ', 'T')}Z`) - ms) / MINUTE_MS;
}

/** Every offset that some zone of the world has at an instant. */
const offsetsOfTheWorld = (ms: number): number[] => [
  ...new Set(Intl.supportedValuesOf('timeZone').map((timeZone) => offsetAt(timeZone, ms))),
];

describe('timeZoneOfOffset', () => {
  it.each([
    [0, 'UTC'],
    [60, 'Etc/GMT-1'],
    [-300, 'Etc/GMT+5'],
    [-720, 'Etc/GMT+12'],
    [840, 'Etc/GMT-14'],
    [330, 'Asia/Kolkata'],
  ])('%d minutes are %s', (minutes, timeZone) => {
    expect(timeZoneOfOffset(minutes)).toBe(timeZone);
  });

  it.each([-780, 900, 75, 20, 0.5, NaN])('%d minutes are nowhere', (minutes) => {
    expect(timeZoneOfOffset(minutes)).toBeNull();
  });

  it.each([
    // Lord Howe Island in winter: its few hundred people give way to Adelaide, which has this offset in summer.
    [SUMMER_MS, [630]],
    [WINTER_MS, []],
  ])('names a zone that has the offset at %d, for every offset of the world but %j', (ms, otherwise) => {
    const offsets = offsetsOfTheWorld(ms);
    expect(offsets.length).toBeGreaterThan(30);
    const wrong = offsets.filter((minutes) => {
      const timeZone = timeZoneOfOffset(minutes);
      return timeZone === null || offsetAt(timeZone, ms) !== minutes;
    });
    expect(wrong).toEqual(otherwise);
  });
});

describe('offsetShownBy', () => {
  const daily = (atHour: number, atMinute = 0): Cadence => ({ kind: 'daily', atHour, atMinute });
  const weekly = (dayOfWeek: number, atHour: number): Cadence => ({ kind: 'weekly', dayOfWeek, atHour });

  it.each<[string, Cadence, string, number]>([
    ['Berlin in winter', daily(8), '2026-11-24T07:00:00.000Z', 60],
    ['Kolkata, across midnight', daily(2, 15), '2026-11-23T20:45:00.000Z', 330],
    ['New York, across midnight', daily(22), '2026-11-25T03:00:00.000Z', -300],
    ['London', daily(8), '2026-11-24T08:00:00.000Z', 0],
    ['Hawaii, not Kiribati', daily(8), '2026-11-24T18:00:00.000Z', -600],
    ['New Zealand in summer, not Samoa', daily(8), '2026-11-23T19:00:00.000Z', 780],
    ['Chatham in summer', daily(8), '2026-11-23T18:15:00.000Z', 825],
    ['Kiribati, by the weekday', weekly(2, 8), '2026-11-23T18:00:00.000Z', 840],
    ['Hawaii, by the weekday', weekly(2, 8), '2026-11-24T18:00:00.000Z', -600],
    ['American Samoa, by the weekday', weekly(2, 8), '2026-11-24T19:00:00.000Z', -660],
    ['Berlin, Sunday before midnight UTC', weekly(0, 0), '2026-11-21T23:00:00.000Z', 60],
  ])('%s', (_place, cadence, nextRunAt, minutes) => {
    expect(offsetShownBy(cadence, Date.parse(nextRunAt))).toBe(minutes);
  });

  it.each<[string, Cadence | null, string]>([
    ['snoozed by seven minutes', daily(8), '2026-11-24T07:07:00.000Z'],
    ['set by hand to the second', daily(8), '2026-11-24T07:00:31.500Z'],
    ['an hour and a quarter off', daily(8), '2026-11-24T06:45:00.000Z'],
    ['on another weekday', weekly(2, 8), '2026-11-26T07:00:00.000Z'],
    ['an interval', { kind: 'interval', everyMinutes: 1440 }, '2026-11-24T07:00:00.000Z'],
    ['cron', { kind: 'cron', expression: '0 8 * * *' }, '2026-11-24T07:00:00.000Z'],
    ['no cadence', null, '2026-11-24T07:00:00.000Z'],
  ])('an instant shows nothing: %s', (_case, cadence, nextRunAt) => {
    expect(offsetShownBy(cadence, Date.parse(nextRunAt))).toBeNull();
  });
});

describe('takeInInstant', () => {
  const known: DeviceOffset = { offsetMinutes: 60, shownAtMs: 1000, doubtful: null };
  const shown = (fields: Partial<ShownInstant>): ShownInstant => ({
    ...{ offsetMinutes: 60, nextRunAtMs: 90_000, writtenAtMs: 2000, isComputed: false },
    ...fields,
  });

  it('the first instant counts, and so does one that the web app computed', () => {
    expect(takeInInstant(UNKNOWN_OFFSET, shown({ offsetMinutes: 330 }))).toEqual({
      ...{ offsetMinutes: 330, shownAtMs: 2000, doubtful: null },
    });
    expect(takeInInstant(known, shown({ offsetMinutes: -300, isComputed: true }))).toEqual({
      ...{ offsetMinutes: -300, shownAtMs: 2000, doubtful: null },
    });
  });

  it('a clock change of an hour counts, and the same offset is newer', () => {
    for (const offsetMinutes of [0, 60, 120]) {
      expect(takeInInstant(known, shown({ offsetMinutes }))).toEqual({
        ...{ offsetMinutes, shownAtMs: 2000, doubtful: null },
      });
    }
  });

  it('an instant older than the known one changes nothing', () => {
    const older = shown({ offsetMinutes: 120, writtenAtMs: 999, isComputed: true });
    expect(takeInInstant(known, older)).toEqual(known);
  });

  it('another hour set by hand is doubtful; read twice, it stays so', () => {
    const byHand = shown({ offsetMinutes: -300 });
    const doubtful = { offsetMinutes: -300, nextRunAtMs: byHand.nextRunAtMs };
    const once = takeInInstant(known, byHand);
    expect(once).toEqual({ ...known, doubtful });
    expect(takeInInstant(once, byHand)).toEqual(once);
  });

  it('a doubtful offset counts once a second instant shows it, and a third one replaces it', () => {
    const once = takeInInstant(known, shown({ offsetMinutes: -300 }));
    const next = { nextRunAtMs: 180_000, writtenAtMs: 3000 };
    expect(takeInInstant(once, shown({ ...next, offsetMinutes: -300 }))).toEqual({
      ...{ offsetMinutes: -300, shownAtMs: 3000, doubtful: null },
    });
    expect(takeInInstant(once, shown({ ...next, offsetMinutes: 330 }))).toEqual({
      ...known,
      doubtful: { offsetMinutes: 330, nextRunAtMs: 180_000 },
    });
    expect(takeInInstant(once, shown(next)).doubtful).toBeNull();
  });
});

import { describe, expect, it } from 'vitest';
import { localTime, spokenTime, zoneName } from './local-time.ts';

const at = (iso: string): number => Date.parse(iso);

describe('spokenTime', () => {
  it.each([
    ['Europe/Berlin', 'de', 'Samstag, 28. November 2026, 09:05, UTC+01:00'],
    ['Europe/Berlin', 'en', 'Saturday, 28 November 2026, 09:05, UTC+01:00'],
    ['America/St_Johns', 'en', 'Saturday, 28 November 2026, 04:35, UTC-03:30'],
    ['Asia/Tokyo', 'de', 'Samstag, 28. November 2026, 17:05, UTC+09:00'],
    // One hour east of Greenwich, whatever its name seems to say.
    ['Etc/GMT-1', 'de', 'Samstag, 28. November 2026, 09:05, UTC+01:00'],
    ['UTC', 'en', 'Saturday, 28 November 2026, 08:05, UTC'],
    [null, 'de', 'Samstag, 28. November 2026, 08:05, UTC'],
  ] as const)('%s, %s: %s', (zone, language, expected) => {
    expect(spokenTime(at('2026-11-28T08:05:00Z'), zone, language)).toBe(expected);
  });

  it('midnight is 00:00, and the day is the user’s', () => {
    expect(spokenTime(at('2026-06-30T22:00:00Z'), 'Europe/Berlin', 'de')).toBe(
      'Mittwoch, 1. Juli 2026, 00:00, UTC+02:00',
    );
  });
});

describe('localTime', () => {
  it.each([
    ['2026-11-28T08:05:00.000Z', 'Europe/Berlin', '2026-11-28T09:05+01:00'],
    ['2026-06-28T23:30:00+02:00', 'Asia/Kolkata', '2026-06-29T03:00+05:30'],
    ['2026-11-28T08:05:00Z', null, '2026-11-28T08:05+00:00'],
    ['2026-11-28', 'Europe/Berlin', '2026-11-28'],
    ['2026-11-28T08:05', 'Europe/Berlin', '2026-11-28T08:05'],
    ['am 2026-11-28T08:05:00Z', 'Europe/Berlin', 'am 2026-11-28T08:05:00Z'],
  ] as const)('%s in %s: %s', (value, zone, expected) => {
    expect(localTime(value, zone)).toBe(expected);
  });
});

describe('zoneName', () => {
  it.each([
    ['Europe/Berlin', 'Europe/Berlin'],
    ['UTC', 'UTC'],
    ['Etc/GMT-1', null],
    [null, null],
  ])('%s: %s', (zone, expected) => {
    expect(zoneName(zone)).toBe(expected);
  });
});

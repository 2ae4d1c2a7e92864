import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatInstant, instantMs, parseInstantMicros } from './instant.ts';

const NOON_MICROS = BigInt(Date.UTC(2026, 4, 4, 12)) * 1000n;

describe('parseInstantMicros', () => {
  it.each([
    ['2026-05-04T12:00:00Z', 0n],
    ['2026-05-04T12:00:00.000Z', 0n],
    ['2026-05-04T12:00:00.5Z', 500_000n],
    ['2026-05-04T12:00:00.000001Z', 1n],
    ['2026-05-04T12:00:00.123456789Z', 123_456n],
    ['2026-05-04T12:00Z', 0n],
    ['2026-05-04t12:00:00z', 0n],
    ['2026-05-04T14:00:00+02:00', 0n],
    ['2026-05-04T14:00:00+0200', 0n],
    ['2026-05-04T06:30:00-05:30', 0n],
    ['2026-05-04 12:00:00.000007+00', 7n],
    ['2026-05-05T02:00:00+14', 0n],
  ])('%s is read', (text, microsAfterNoon) => {
    expect(parseInstantMicros(text)).toBe(NOON_MICROS + microsAfterNoon);
  });

  it.each([
    '',
    'tomorrow',
    'next week',
    'zzzz',
    '2026-05-04',
    '2026-05-04T12:00:00',
    '2026-05-04T12Z',
    '2026-13-01T00:00:00Z',
    '2026-00-01T00:00:00Z',
    '2026-02-30T00:00:00Z',
    '2025-02-29T00:00:00Z',
    '1900-02-29T00:00:00Z',
    '2026-04-31T00:00:00Z',
    '2026-05-00T00:00:00Z',
    '2026-05-04T24:00:00Z',
    '2026-05-04T25:00:00Z',
    '2026-05-04T12:60:00Z',
    '2026-05-04T12:00:60Z',
    '2026-05-04T12:00:00+24:00',
    '2026-05-04T12:00:00+02:60',
    '2026-05-04T12:00:00.Z',
    ' 2026-05-04T12:00:00Z',
    '2026-05-04T12:00:00Z\n',
    '+012026-05-04T12:00:00Z',
    'infinity',
    0,
    1_777_896_000_000,
    null,
    undefined,
    {},
    [[]],
    [['2026-05-04T12:00:00Z']],
    new Date(0),
  ])('%s names no instant', (value) => {
    expect(parseInstantMicros(value)).toBeNull();
    expect(instantMs(value)).toBeNull();
  });

  it('knows leap days and the first century', () => {
    expect(parseInstantMicros('2000-02-29T00:00:00Z')).toBe(BigInt(Date.UTC(2000, 1, 29)) * 1000n);
    expect(parseInstantMicros('0001-01-01T00:00:00Z')).toBe(
      BigInt(Date.parse('0001-01-01T00:00:00Z')) * 1000n,
    );
  });

  it('agrees with Date on every instant that formatInstant writes', () => {
    const instants = fc.integer({
      min: Date.parse('0000-01-01T00:00:00Z'),
      max: Date.parse('9999-12-31T23:59:59.999Z'),
    });
    fc.assert(
      fc.property(instants, (ms) => {
        expect(parseInstantMicros(formatInstant(ms))).toBe(BigInt(ms) * 1000n);
        expect(instantMs(formatInstant(ms))).toBe(ms);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('instantMs', () => {
  it('rounds towards the past on both sides of the epoch', () => {
    expect(instantMs('1970-01-01T00:00:00.001999Z')).toBe(1);
    expect(instantMs('1969-12-31T23:59:59.999999Z')).toBe(-1);
    expect(instantMs('1969-12-31T23:59:59.999000Z')).toBe(-1);
    expect(instantMs('1969-12-31T23:59:59.998999Z')).toBe(-2);
  });
});

describe('formatInstant', () => {
  it('writes three digits of milliseconds and Z', () => {
    expect(formatInstant(0)).toBe('1970-01-01T00:00:00.000Z');
    expect(formatInstant(Date.UTC(2026, 4, 4, 12, 0, 0, 7))).toBe('2026-05-04T12:00:00.007Z');
  });

  it.each([
    NaN,
    Infinity,
    Date.parse('9999-12-31T23:59:59.999Z') + 1,
    Date.parse('0000-01-01T00:00:00Z') - 1,
  ])('refuses %s, which the form cannot hold', (ms) => {
    expect(() => formatInstant(ms)).toThrow(RangeError);
  });
});

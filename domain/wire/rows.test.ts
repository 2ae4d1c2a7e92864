import { describe, expect, it } from 'vitest';
import { writerTime } from './rows.ts';

const NOW = Date.parse('2026-05-04T12:00:00.000Z');
const micros = (ms: number): bigint => BigInt(ms) * 1000n;

describe('writerTime', () => {
  it.each([
    ['now, for a field that nobody wrote', null, '2026-05-04T12:00:00.000Z'],
    ['now, for a field written before', micros(NOW - 1), '2026-05-04T12:00:00.000Z'],
    ['a millisecond later than a field written now', micros(NOW), '2026-05-04T12:00:00.001Z'],
    ['a millisecond later than one from the future', micros(NOW + 3_600_000), '2026-05-04T13:00:00.001Z'],
    ['later as a text too, than one with microseconds', micros(NOW) + 999n, '2026-05-04T12:00:00.001Z'],
    [
      'writable at the end of the calendar',
      micros(Date.UTC(9999, 11, 31, 23, 59, 59, 999)),
      '9999-12-31T23:59:59.999Z',
    ],
  ])('is %s', (_, stored, expected) => {
    expect(writerTime(NOW, stored)).toBe(expected);
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { clampLimit, decodeCursor, encodeCursor } from './decrypt-audit.ts';

it.each([
  [undefined, 200],
  ['', 200],
  ['many', 200],
  ['Infinity', 200],
  ['0x10', 200],
  [['1', '2'], 200],
  ['1', 1],
  ['0', 1],
  ['-5', 1],
  ['200', 200],
  ['10.9', 10],
  ['1000', 1000],
  ['1001', 1000],
  ['9'.repeat(400), 1000],
])('limit %j means %i', (text, limit) => {
  expect(clampLimit(text)).toBe(limit);
});

describe('a cursor', () => {
  it('is read as it was written, and is safe in a URL', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 1n, max: 2n ** 63n - 1n }), (seq) => {
        expect(encodeCursor(seq)).toMatch(/^[\w-]+$/);
        expect(decodeCursor(encodeCursor(seq))).toBe(seq);
      }),
      { numRuns: 1000 },
    );
  });

  it('is nothing else', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.base64String(), fc.bigInt().map(encodeCursor)), (text) => {
        const seq = decodeCursor(text);
        expect(seq === null || encodeCursor(seq) === text).toBe(true);
        expect(seq === null || (seq > 0n && seq < 2n ** 63n)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});

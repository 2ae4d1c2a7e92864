import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { clampRunLimit, decodeRunCursor, encodeRunCursor } from './mission-run.ts';

const list = ['user', 'mission'];

describe('the cursor of a list of runs', () => {
  it('gives back the token of the server, for this list only', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), (token) => {
        const cursor = encodeRunCursor(list, token) ?? '';
        expect(cursor).toMatch(/^[\w-]+$/);
        expect([...(decodeRunCursor(list, cursor) ?? [])]).toEqual([...token]);
        expect(decodeRunCursor(['user', 'another'], cursor)).toBeNull();
        expect(decodeRunCursor(list, `${cursor}A`)).toBeNull();
        expect(decodeRunCursor(list, cursor.slice(1))).toBeNull();
      }),
    );
  });

  it('is none on the last page, and no other text is one', () => {
    expect(encodeRunCursor(list, new Uint8Array())).toBeNull();
    fc.assert(fc.property(fc.string(), (text) => decodeRunCursor(list, text) === null));
  });
});

it.each([
  ['1', 1],
  ['100', 100],
  ['101', 100],
  ['0', 1],
  ['-5', 1],
  ['2.9', 2],
  ['many', 20],
  ['', 20],
  [undefined, 20],
  [['3'], 20],
])('limit %j is read as %d', (text, limit) => {
  expect(clampRunLimit(text)).toBe(limit);
});

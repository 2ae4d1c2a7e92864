import { expect, it } from 'vitest';
import { clampRunLimit } from './mission-run.ts';

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

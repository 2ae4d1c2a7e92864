import { expect, it } from 'vitest';
import { clampLimit } from './decrypt-audit.ts';

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

import { expect, it } from 'vitest';
import { figureIn } from './process-figures.ts';

it('a figure of a process is the one of that very name, without labels', () => {
  const text = 'a_bytes_total 1\na_bytes{of="x"} 2\na_bytes 3.5\n';
  expect(figureIn(text, 'a_bytes')).toBe(3.5);
  expect(() => figureIn(text, 'b_bytes')).toThrow('found no b_bytes');
});

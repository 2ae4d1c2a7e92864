import { expect, it } from 'vitest';
import { plotOf } from './plot.ts';
import type { Plot, Result } from './result.ts';

const result = {
  part: 'missions',
  tables: [
    {
      title: 'Missions a second',
      header: ['latency', 'product', 'other <one>'],
      rows: [
        [0, [8, 9, 10], 20],
        [1_000, 7, 'not shown'],
      ],
    },
  ],
} as unknown as Result;
const plot: Plot = { name: 'rates', table: 0, kind: 'bar', unit: 'a second', columns: [1, 2] };

it('a picture names its columns, escaped, and is the same for the same figures', () => {
  const picture = plotOf(result, plot);
  expect(picture).toMatch(/^<svg /);
  for (const text of ['Missions a second', 'product', 'other &lt;one&gt;', 'a second'])
    expect(picture).toContain(text);
  expect(picture).not.toContain('NaN');
  expect(plotOf(result, plot)).toBe(picture);
});

it('a picture has no background of its own: pages are light or dark', () => {
  expect(plotOf(result, plot)).toMatch(/<rect width="760" height="340" x="0" y="0" fill="none"/);
});

it('other figures give another picture', () => {
  expect(plotOf(result, { ...plot, columns: [2] })).not.toBe(plotOf(result, plot));
});

it('a table that is not there is an error', () => {
  expect(() => plotOf(result, { ...plot, table: 1 })).toThrow('missions has no table 1');
});

import { expect, it } from 'vitest';
import { measure, quantile, timingTable } from './measure.ts';

it('a quantile is a value that was found', () => {
  expect([0, 0.5, 0.99, 1].map((share) => quantile([4, 1, 3, 2], share))).toEqual([1, 3, 4, 4]);
  expect(quantile([], 0.5)).toBeNaN();
});

it('variants take turns, each turn begins with another one, and warm-ups do not count', async () => {
  const order: string[] = [];
  const variant = (name: string) => ({ name, run: () => order.push(name) });
  const timings = await measure([variant('a'), variant('b')], { samples: 2, warmUps: 1 });
  expect(order.join('')).toBe('abbaab');
  expect(timings.map(({ name, samples }) => [name, samples])).toEqual([
    ['a', 2],
    ['b', 2],
  ]);
});

it('a table of timings has the ratio of the medians to its baseline', () => {
  const timing = (name: string, medianMs: number) => ({
    ...{ name, medianMs, leastMs: 1, mostMs: 9, p99Ms: 8, samples: 3 },
  });
  const { header, rows } = timingTable('T', [timing('bare', 2), timing('ours', 3)], ['bare']);
  expect(header.at(-1)).toBe('ratio to: bare');
  expect(rows).toEqual([
    ['bare', [1, 2, 9], 8, 3, 1],
    ['ours', [1, 3, 9], 8, 3, 1.5],
  ]);
});

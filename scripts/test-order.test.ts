import { describe, expect, it } from 'vitest';
import { spread } from './test-order.ts';

describe('spread', () => {
  it('puts the same number of common ones behind each rare one, all in their order', () =>
    expect(spread(['A', 'B'], ['1', '2', '3', '4', '5'])).toEqual(['A', '1', '2', '3', 'B', '4', '5']));

  it.each([
    { rare: [], common: ['1', '2'], all: ['1', '2'] },
    { rare: ['A'], common: [], all: ['A'] },
    { rare: ['A', 'B', 'C'], common: ['1'], all: ['A', '1', 'B', 'C'] },
    { rare: ['A', 'B', 'C'], common: ['1', '2', '3', '4'], all: ['A', '1', '2', 'B', '3', '4', 'C'] },
  ])('loses none of $rare and $common', ({ rare, common, all }) => expect(spread(rare, common)).toEqual(all));
});

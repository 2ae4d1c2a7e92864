import { describe, expect, it } from 'vitest';
import { holds, middle, resultText, shown, tableText, withResults } from './markdown.ts';
import { formatResult, parseResult, type Result } from './result.ts';

const result: Result = {
  ...{ part: 'grants', startedAt: '2026-11-29T15:00:00.000Z', seconds: 61.4, commit: 'abc1234' },
  machine: {
    ...{ processor: 'A processor', cores: 2, memoryGib: 24, busyShare: 0.5 },
    ...{ loadBefore: [0.1, 0.2, 0.3], loadAfter: [1, 2, 3] },
  },
  ...{ versions: { Node: '24.21.0' }, settings: { missions: 1_500, grants: 'v2' } },
  tables: [{ title: 'Rates', header: ['latency', 'a second'], rows: [[200, [9, 7.5, 8]]] }],
  aims: [
    { what: 'Ratio', found: 0.5, atLeast: 0.7 },
    { what: 'Time', found: 3, atMost: 3 },
  ],
  ...{ plots: [{ name: 'rates', table: 0, kind: 'bar', unit: 'a second', columns: [1] }], notes: [] },
};

describe('figures on the page', () => {
  it.each([
    [1_234_567, '1,234,567'],
    [123.4, '123'],
    [12.34, '12.3'],
    [1.234, '1.23'],
    [0.0123, '0.012'],
    [0, '0'],
    [-12.34, '-12.3'],
    [NaN, 'none'],
  ])('%s is shown as %s', (value, text) => expect(shown(value)).toBe(text));

  it('several of one cell are shown as the least, the median and the most, and count as the median', () => {
    expect(tableText({ title: 'T', header: ['a'], rows: [[[9, 7.5, 8]]] })).toContain('| 7.50 / 8 / 9 |');
    expect([middle([9, 7.5, 8]), middle(4), middle('none')]).toEqual([8, 4, NaN]);
  });

  it('an aim is reached at its bound and missed beyond it', () => {
    const aim = { what: 'x', atLeast: 2, atMost: 3 };
    expect([1.99, 2, 3, 3.01].map((found) => holds({ ...aim, found }))).toEqual([false, true, true, false]);
  });

  it('no figure is no aim reached', () => {
    expect(holds({ what: 'x', found: NaN, atMost: 3 })).toBe(false);
    expect(holds({ what: 'x', found: NaN, atLeast: 3 })).toBe(false);
  });

  it('a part shows tables, pictures, aims, and what it was measured with', () => {
    const text = resultText(result);
    expect(text).toContain('| 200 | 7.50 / 8 / 9 |');
    expect(text).toContain('![Rates: a second](bench/grants-rates.svg)');
    expect(text).toContain('- Ratio: 0.50, aim at least 0.70: **missed**.');
    expect(text).toContain('- Time: 3, aim at most 3: reached.');
    expect(text).toContain('2026-11-29 15:00 UTC in 61 s at abc1234: missions 1,500, grants v2.');
    expect(text).toContain('load 0.1, 0.2, 0.3 before and 1.0, 2.0, 3.0 after');
  });
});

describe('the page', () => {
  const page = 'Before.\n<!-- bench: grants -->\nold\n<!-- end of bench -->\nAfter.\n';

  it('keeps what stands around a part, and takes the same results twice', () => {
    const once = withResults(page, [result]);
    expect(once).toMatch(/^Before\.\n/);
    expect(once).toMatch(/<!-- end of bench -->\nAfter\.\n$/);
    expect(once).not.toContain('old');
    expect(withResults(once, [result])).toBe(once);
  });

  it('without a place for a part is refused', () => {
    expect(() => withResults('nothing', [result])).toThrow('grants: the page has no <!-- bench: grants -->');
    expect(() => withResults('<!-- bench: grants -->', [result])).toThrow('has no <!-- end of bench -->');
  });
});

it('a result is read as it was written, and nothing else is', () => {
  expect(parseResult(formatResult(result))).toEqual(result);
  expect(() => parseResult('{"part":"grants"}')).toThrow();
});

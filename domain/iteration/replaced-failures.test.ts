import { describe, expect, it } from 'vitest';
import { nextAfter, replacedFailuresIn, type FailureOutline } from './replaced-failures.ts';

const outline = (id: string, startMs: number, failure: FailureOutline['failure'] = null): FailureOutline => ({
  ...{ id, startMs, failure },
});

describe('the iteration that began next', () => {
  const next = nextAfter([
    ...[outline('d', 5), outline('a', 1), outline('b', 2), outline('b', 2), outline('c', 2)],
    ...[outline('e', 7), outline('e', 7)],
  ]);

  it.each<[of: FailureOutline, id: string | undefined]>([
    [outline('a', 1), 'b'],
    // Not itself, however often it is written.
    [outline('b', 2), 'c'],
    [outline('c', 2), 'b'],
    [outline('d', 5), 'e'],
    [outline('e', 7), undefined],
    [outline('x', 0), 'a'],
    [outline('x', 3), 'd'],
    [outline('x', 8), undefined],
  ])('after %j is %s', (of, id) => expect(next(of)?.id ?? undefined).toBe(id));

  it('of none is none', () => expect(nextAfter([])(outline('a', 1))).toBeNull());
});

describe('a failure that our array lacks', () => {
  const lacks = (array: readonly FailureOutline[], ours: readonly FailureOutline[]) =>
    replacedFailuresIn(array, nextAfter(ours))(outline('i1', 1, 'grant-absent'));
  const repeated = outline('i2', 2, 'grant-absent');

  it('was replaced where the next iteration failed alike', () => {
    expect(lacks([repeated], [repeated])).toBe(true);
    // A device had taken the next one away.
    expect(lacks([outline('i3', 3)], [repeated, outline('i3', 3)])).toBe(true);
  });

  it('was not where the next one did not, or where it is there', () => {
    const other = outline('i2', 2, 'gateway-rejected');
    expect(lacks([other], [other])).toBe(false);
    expect(lacks([outline('d1', 1), repeated], [repeated])).toBe(false);
    expect(lacks([], [])).toBe(false);
    expect(lacks([outline('i1', 1, 'grant-absent'), repeated], [repeated])).toBe(false);
  });
});

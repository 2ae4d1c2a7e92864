import { describe, expect, it } from 'vitest';
import { rendezvous } from './rendezvous.ts';

const KEYS = Array.from({ length: 3_000 }, (_, index) => `user-${index}`);
const shares = (names: readonly string[]): Map<string, number> => {
  const counts = new Map(names.map((name) => [name, 0]));
  for (const key of KEYS) {
    const name = rendezvous(key, names);
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
};

describe('rendezvous hashing', () => {
  it('gives each name its share, whatever their order', () => {
    const names = ['a', 'b', 'c', 'd'];
    for (const count of shares(names).values()) expect(Math.abs(count - 750)).toBeLessThan(100);
    expect(KEYS.map((key) => rendezvous(key, names))).toEqual(
      KEYS.map((key) => rendezvous(key, names.toReversed())),
    );
  });

  it('moves keys to a new name alone, and only those of a name that goes', () => {
    const moved = KEYS.filter((key) => rendezvous(key, ['a', 'b']) !== rendezvous(key, ['a', 'b', 'c']));
    expect(moved.every((key) => rendezvous(key, ['a', 'b', 'c']) === 'c')).toBe(true);
    expect(Math.abs(moved.length - 1_000)).toBeLessThan(120);
  });

  it('is the same for ever: these stand in running systems', () => {
    expect(['6f0c', 'käthe', '', 'a"b'].map((key) => rendezvous(key, ['missions-1', 'missions-2']))).toEqual([
      ...['missions-2', 'missions-1', 'missions-2', 'missions-2'],
    ]);
  });

  it('needs a name', () => {
    expect(() => rendezvous('any', [])).toThrow(RangeError);
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_ROW_BYTES, pageShares, turnShares, type RowHead } from './page-shares.ts';

const MB = 1_000_000;
let count = 0;
const row = (userId: string, bytes: number): RowHead => {
  count += 1;
  return { id: String(count), userId, createdAt: '2026-05-04T08:00:00.000000Z', bytes };
};
const rows = (userId: string, number: number, bytes: number): RowHead[] =>
  Array.from({ length: number }, () => row(userId, bytes));
const backlogsOf = ({ backlogs }: { readonly backlogs: ReadonlyMap<string, RowHead> }) =>
  Object.fromEntries([...backlogs].map(([userId, { id }]) => [userId, id]));

describe('a page', () => {
  it('of small rows is read whole; its end is told where more may stand behind it', () => {
    const heads = [...rows('a', 2, 10), ...rows('b', 2, 10), ...rows('c', 2, 10)];
    expect(pageShares(heads, false)).toEqual({
      taken: heads,
      tooLarge: [],
      backlogs: new Map(),
      end: null,
    });
    expect(pageShares(heads, true).end).toBe(heads.at(-1));
    expect(pageShares([], true)).toEqual({ taken: [], tooLarge: [], backlogs: new Map(), end: null });
  });

  it('has a megabyte of one user, or one row; the further ones wait for their turn', () => {
    const heads = [
      row('a', 0.6 * MB),
      row('b', 10),
      row('a', 0.4 * MB),
      row('a', 1),
      row('b', 10),
      row('a', 1),
    ];
    const shares = pageShares(heads, false);
    expect(shares.taken).toEqual([heads[0], heads[1], heads[2], heads[4]]);
    expect(backlogsOf(shares)).toEqual({ a: heads[2]?.id });
    const [large, next] = [row('a', 7 * MB), row('a', 1)];
    expect(pageShares([large, next], false).taken).toEqual([large]);
    const afterNothing = [row('a', 0), row('a', 7 * MB)];
    expect(pageShares(afterNothing, false).taken).toEqual(afterNothing);
  });

  it('has eight megabytes of all, or one row, and ends before the row that would be more', () => {
    const heads = Array.from({ length: 10 }, (_, index) => row(`user-${index}`, MB));
    const shares = pageShares(heads, false);
    expect(shares.taken).toEqual(heads.slice(0, 8));
    expect(shares.end).toBe(heads[7]);
    expect(pageShares([row('a', 8 * MB), row('b', 1)], false).taken).toHaveLength(1);
  });

  it('passes over a row that is too large to be read, which counts for no bytes', () => {
    const [huge, small] = [row('a', MAX_ROW_BYTES + 1), row('a', MB)];
    expect(pageShares([huge, small], false)).toEqual({
      taken: [small],
      tooLarge: [huge],
      backlogs: new Map(),
      end: null,
    });
    const largest = row('a', MAX_ROW_BYTES);
    expect(pageShares([largest], false).taken).toEqual([largest]);
  });

  it('that one user fills to a half leaves that user’s rows behind it to their turn, where there may be any', () => {
    const heads = [...rows('a', 3, 10), ...rows('b', 2, 10), row('c', 10)];
    expect(backlogsOf(pageShares(heads, true))).toEqual({ a: heads[2]?.id });
    expect(backlogsOf(pageShares(heads, false))).toEqual({});
    expect(backlogsOf(pageShares([...heads, row('c', 10)], true))).toEqual({});
  });
});

describe('a turn', () => {
  it('has a megabyte, or one row, passes over what is too large, and tells its end where more may be behind it', () => {
    const heads = [row('a', MAX_ROW_BYTES + 1), row('a', 0.6 * MB), row('a', 0.4 * MB), row('a', 1)];
    expect(turnShares(heads, false)).toEqual({
      taken: [heads[1], heads[2]],
      tooLarge: [heads[0]],
      end: heads[2],
    });
    const large = [row('a', 5 * MB), row('a', 5 * MB)];
    expect(turnShares(large, false)).toEqual({ taken: [large[0]], tooLarge: [], end: large[0] });
    const small = rows('a', 2, 1);
    expect(turnShares(small, false).end).toBeNull();
    expect(turnShares(small, true).end).toBe(small[1]);
  });
});

describe('reading a log page by page', () => {
  const PAGE = 6;
  const logs = fc.array(
    fc
      .tuple(
        fc.constantFrom('a', 'a', 'b', 'c'),
        fc.constantFrom(0, 1, 10, 0.4 * MB, MB, 3 * MB, MAX_ROW_BYTES, MAX_ROW_BYTES + 1),
      )
      .map(([userId, bytes]) => row(userId, bytes)),
    { maxLength: 40 },
  );

  /** As a projection reads: pages of everybody but those who wait, then those by turns. */
  function readAll(log: readonly RowHead[]): RowHead[] {
    const read: RowHead[] = [];
    const waiting = new Map<string, RowHead>();
    const behind = (last: RowHead | null): readonly RowHead[] =>
      last === null ? log : log.slice(log.indexOf(last) + 1);
    for (let last: RowHead | null = null; ;) {
      const page: readonly RowHead[] = behind(last)
        .filter(({ userId }) => !waiting.has(userId))
        .slice(0, PAGE);
      const { taken, tooLarge, backlogs, end } = pageShares(page, page.length === PAGE);
      read.push(...taken, ...tooLarge);
      if (page.length > 0) expect(taken.length + tooLarge.length).toBeGreaterThan(0);
      for (const [userId, at] of backlogs) waiting.set(userId, at);
      if (end === null) break;
      last = end;
    }
    for (const [userId, from] of waiting) {
      for (let last: RowHead | null = from; last !== null;) {
        const turn: readonly RowHead[] = behind(last)
          .filter((head) => head.userId === userId)
          .slice(0, PAGE);
        const shares = turnShares(turn, turn.length === PAGE);
        read.push(...shares.taken, ...shares.tooLarge);
        last = shares.end;
      }
    }
    return read;
  }

  it('reads each row once, those that can be read of a user in their order', () => {
    fc.assert(
      fc.property(logs, (log) => {
        const read = readAll(log);
        const byLog = (one: RowHead, other: RowHead) => log.indexOf(one) - log.indexOf(other);
        expect(read.toSorted(byLog)).toEqual(log);
        for (const user of ['a', 'b', 'c']) {
          const ofUser = ({ userId, bytes }: RowHead) => userId === user && bytes <= MAX_ROW_BYTES;
          expect(read.filter(ofUser)).toEqual(log.filter(ofUser));
        }
      }),
      { numRuns: 500 },
    );
  });
});

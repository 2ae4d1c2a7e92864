import { describe, expect, it } from 'vitest';
import { createStartTurns } from './start-turns.ts';

describe('direct starts', () => {
  it('are ten of a user in five seconds, whatever others do', () => {
    const mayStart = createStartTurns();
    const started = Array.from({ length: 50 }, () => mayStart('many', 10_000)).filter(Boolean);
    expect(started).toHaveLength(10);
    expect(mayStart('other', 10_000)).toBe(true);
    expect(mayStart('many', 14_999)).toBe(false);
    expect(mayStart('many', 15_000)).toBe(true);
  });

  it('go on when the clock was set back an hour', () => {
    const mayStart = createStartTurns();
    for (let start = 0; start < 10; start += 1) mayStart('many', 3_600_000);
    expect(mayStart('many', 1_000)).toBe(true);
  });
});

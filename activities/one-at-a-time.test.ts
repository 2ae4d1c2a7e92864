import { describe, expect, it } from 'vitest';
import { oneAtATime } from './one-at-a-time.ts';

describe('work under one key', () => {
  it('is done in turn, also behind work that failed, and beside that of other keys', async () => {
    const seen: string[] = [];
    const { promise: end, resolve } = Promise.withResolvers<undefined>();
    const first = oneAtATime('a', async () => {
      seen.push('first begins');
      await end;
      throw new Error('the first fails');
    });
    const second = oneAtATime('a', () => Promise.resolve(seen.push('second')));
    await oneAtATime('b', () => Promise.resolve(seen.push('other key')));
    expect(seen).toEqual(['first begins', 'other key']);
    resolve(undefined);
    await expect(first).rejects.toThrow('the first fails');
    expect(await second).toBe(3);
  });
});

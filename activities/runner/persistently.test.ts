import { afterEach, expect, test, vi } from 'vitest';
import { persistently } from './persistently.ts';

afterEach(() => vi.useRealTimers());

test('a clock that is set ahead gives up nothing that was paid for', async () => {
  vi.useFakeTimers({ toFake: ['Date'] });
  const tries: number[] = [];
  const work = (): Promise<string> => {
    tries.push(Date.now());
    vi.setSystemTime(Date.now() + 86_400_000);
    return tries.length < 3 ? Promise.reject(new Error('no connection')) : Promise.resolve('kept');
  };
  expect(await persistently(work, new AbortController().signal)).toBe('kept');
  expect(tries).toHaveLength(3);
});

test('where nobody waits any more, one try is all', async () => {
  const failing = (): Promise<never> => Promise.reject(new Error('no connection'));
  await expect(persistently(failing, AbortSignal.abort())).rejects.toThrow('no connection');
});

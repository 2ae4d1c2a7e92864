import { expect, it } from 'vitest';
import { countedClock } from './server-clock.ts';

it('a server’s clock is read once a minute, and goes on in between', async () => {
  let [monotonicMs, reads] = [500, 0];
  const now = countedClock(
    () => {
      reads += 1;
      return Promise.resolve(1_000_000 * reads);
    },
    () => monotonicMs,
  );
  expect(await now()).toBe(1_000_000);
  monotonicMs += 60_000;
  expect(await now()).toBe(1_060_000);
  expect(reads).toBe(1);
  monotonicMs += 1;
  expect(await now()).toBe(2_000_000);
  expect(reads).toBe(2);
});

it('a clock that cannot be read is read again', async () => {
  let reads = 0;
  const now = countedClock(() => {
    reads += 1;
    return reads === 1 ? Promise.reject(new Error('down')) : Promise.resolve(7_000);
  });
  await expect(now()).rejects.toThrow('down');
  expect(await now()).toBeGreaterThanOrEqual(7_000);
});

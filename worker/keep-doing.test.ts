import { expect, test } from 'vitest';
import { keepDoing } from './keep-doing.ts';

test('goes on behind what fails, until it is ended', async () => {
  const { promise: isThird, resolve } = Promise.withResolvers<undefined>();
  let calls = 0;
  const stop = keepDoing(() => {
    calls += 1;
    if (calls === 3) {
      stop();
      resolve(undefined);
    }
    return Promise.reject(new Error('down'));
  }, 1);
  await isThird;
  expect(calls).toBe(3);
});

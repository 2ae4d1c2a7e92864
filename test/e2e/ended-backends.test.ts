import { expect, it } from 'vitest';
import { endBackendsUnderLoad } from '#test/support/ended-backends.ts';

it('40 backends that end at random, also in transactions and commits, end no process and change no outcome', async () => {
  const { ended } = await endBackendsUnderLoad(40);
  for (const [situation, times] of Object.entries(ended)) expect(times, situation).toBe(10);
});

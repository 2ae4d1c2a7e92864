import { expect, it } from 'vitest';
import { endBackendsUnderLoad } from '#test/support/ended-backends.ts';

it('250 backends that end at random, also in transactions and commits, end no process and change no outcome', async () => {
  const { ended, missions } = await endBackendsUnderLoad(250);
  for (const [situation, times] of Object.entries(ended)) expect(times, situation).toBeGreaterThan(40);
  expect(missions).toBeGreaterThan(20);
}, 600_000);

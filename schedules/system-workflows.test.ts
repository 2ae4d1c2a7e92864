import type { Client } from '@temporalio/client';
import { expect, test } from 'vitest';
import { runFreshPass } from './system-workflows.ts';

test('a pass that was under way already is not the last word: another one begins after it', async () => {
  const passes: (readonly [changes: number, started: number])[] = [
    [2, 1],
    [0, 3],
  ];
  const client = {
    connection: { withDeadline: (_at: number, call: () => Promise<unknown>) => call() },
    workflow: {
      start: () => {
        const [changes = NaN, started = NaN] = passes.shift() ?? [];
        const result = { ...{ changes, records: 0, schedules: 0 }, started, pending: 0 };
        return Promise.resolve({ result: () => Promise.resolve(result) });
      },
    },
  } as unknown as Client;
  expect(await runFreshPass(client)).toMatchObject({ changes: 0, started: 4 });
  expect(passes).toEqual([]);
});

import { WorkflowExecutionAlreadyStartedError, type Client } from '@temporalio/client';
import { expect, test } from 'vitest';
import { runFreshPass, startHealing } from './system-workflows.ts';

const starting = (start: (type: string, options: object) => Promise<unknown>): Client =>
  ({
    connection: { withDeadline: (_at: number, call: () => Promise<unknown>) => call() },
    workflow: { start },
  }) as unknown as Client;

test('a pass that was under way already is not the last word: another one begins after it', async () => {
  const passes: (readonly [changes: number, started: number])[] = [
    [2, 1],
    [0, 3],
  ];
  const client = starting(() => {
    const [changes = NaN, started = NaN] = passes.shift() ?? [];
    const result = { ...{ changes, records: 0, schedules: 0 }, started, pending: 0 };
    return Promise.resolve({ result: () => Promise.resolve(result) });
  });
  expect(await runFreshPass(client)).toMatchObject({ changes: 0, started: 4 });
  expect(passes).toEqual([]);
});

test('a healing that is under way is not joined: it may have read the rows before', async () => {
  const options: object[] = [];
  const begun = starting((_type, given) => {
    options.push(given);
    return Promise.resolve({});
  });
  expect(await startHealing(begun, 'u', 'm')).toBe(true);
  expect(options).toMatchObject([{ workflowIdConflictPolicy: 'FAIL' }]);
  const underWay = new WorkflowExecutionAlreadyStartedError('started', 'heal:u:m', 'healIterations');
  expect(
    await startHealing(
      starting(() => Promise.reject(underWay)),
      'u',
      'm',
    ),
  ).toBe(false);
  const down = starting(() => Promise.reject(new Error('down')));
  await expect(startHealing(down, 'u', 'm')).rejects.toThrow('down');
});

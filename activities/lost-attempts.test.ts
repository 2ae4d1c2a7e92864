import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { TurnTakenError } from '#domain/base/errors.ts';
import { countAttempts, isUncounted, noteEnd, takeTurn, waitForTurn } from './lost-attempts.ts';

const attemptOf = (attempt: number, heartbeatDetails?: unknown, activityId: string = randomUUID()) => ({
  ...{ attempt, heartbeatDetails, activityId },
  workflowExecution: { workflowId: 'w', runId: 'r' },
});

describe('attempts that were lost', () => {
  it.each([
    ['none before the first', 1, undefined, 0],
    ['none where each one said that it ended', 6, { ended: 5 }, 0],
    ['those that did not say so', 6, { ended: 3 }, 2],
    ['all of them, where nothing was said yet', 3, { ended: 0 }, 2],
    ['three, the last one on its last chance', 4, { ended: 0, lastChance: true }, 3],
    ['two, where the last one died before its turn came', 4, { ended: 0 }, 2],
    ['two, however many died before their turn came', 9, { ended: 0 }, 2],
    ['no fewer than none, whatever the heartbeat says', 3, { ended: 7 }, 0],
  ])('%s', (_, attempt, details, lost) => {
    expect(countAttempts(attemptOf(attempt, details)).lost).toBe(lost);
  });

  it('earlier attempts without a count, as of a version before, cost no more than all chances but the last', () => {
    for (const details of [undefined, null, 'x', { other: 1 }, { ended: 'x' }]) {
      expect(countAttempts(attemptOf(9, details))).toEqual({ ended: 6, lost: 2 });
      expect(isUncounted(attemptOf(9, details))).toBe(true);
    }
    expect(isUncounted(attemptOf(1))).toBe(false);
    expect(isUncounted(attemptOf(2, { ended: 0 }))).toBe(false);
  });

  it('one that ended in this process is known here, although its last heartbeat never arrived', () => {
    const id = randomUUID();
    noteEnd(attemptOf(1, undefined, id), 1);
    expect(countAttempts(attemptOf(2, undefined, id))).toEqual({ ended: 1, lost: 0 });
    expect(countAttempts(attemptOf(2, undefined))).toEqual({ ended: 0, lost: 1 });
  });
});

it('the turn of a last chance is one at a time', () => {
  const giveBack = takeTurn();
  expect(giveBack).not.toBeNull();
  expect(takeTurn()).toBeNull();
  giveBack?.();
  const again = takeTurn();
  expect(again).not.toBeNull();
  again?.();
});

describe('waiting for the turn', () => {
  const patiently = () => waitForTurn(new AbortController().signal, 60_000);

  it('gets it in the order in which they came, and gives it back in the end', async () => {
    const giveBack = takeTurn();
    const order: number[] = [];
    const all = [1, 2, 3].map(async (number) => {
      const end = await patiently();
      order.push(number);
      expect(takeTurn()).toBeNull();
      end();
    });
    giveBack?.();
    await Promise.all(all);
    expect(order).toEqual([1, 2, 3]);
    (await patiently())();
  });

  it('ends when it takes too long, or with the signal, and takes no turn along', async () => {
    const giveBack = takeTurn();
    const controller = new AbortController();
    const cancelled = waitForTurn(controller.signal, 60_000);
    controller.abort(new Error('cancelled'));
    await expect(cancelled).rejects.toThrow('cancelled');
    await expect(waitForTurn(new AbortController().signal, 1)).rejects.toBeInstanceOf(TurnTakenError);
    giveBack?.();
    (await patiently())();
  });
});

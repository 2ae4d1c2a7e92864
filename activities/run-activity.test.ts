import { once } from 'node:events';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import type { LogEntry } from '@temporalio/worker';
import { describe, expect, it, vi } from 'vitest';
import { runActivity } from './run-activity.ts';
import { SlotBusyError } from '../domain/errors.ts';

function environment(attempt = 1) {
  const entries: LogEntry[] = [];
  const logger = new DefaultLogger('TRACE', (entry) => entries.push(entry));
  return { entries, mock: new MockActivityEnvironment({ attempt }, { logger }) };
}

describe('runActivity', () => {
  it('passes on the result and the attempt', async () => {
    const { mock } = environment(3);
    await expect(mock.run(() => runActivity(({ attempt }) => Promise.resolve({ attempt })))).resolves.toEqual(
      {
        attempt: 3,
      },
    );
  });

  it('an error becomes a failure without its text, with the delay of this attempt; the log has its type only', async () => {
    const { mock, entries } = environment(2);
    const failure: unknown = await mock
      .run(() =>
        runActivity(() => Promise.reject(new SlotBusyError('i1', 7)), {
          retryDelay: (_, attempt) => attempt * 5,
        }),
      )
      .catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ApplicationFailure);
    expect(failure).toMatchObject({ type: 'SLOT_BUSY', details: ['i1', 7], nextRetryDelay: 10 });
    expect(entries.map(({ message }) => message)).toContain('activity failed');
  });

  it('heartbeats while the work is under way, and no longer', async () => {
    vi.useFakeTimers();
    try {
      const { mock } = environment();
      let beats = 0;
      mock.on('heartbeat', () => (beats += 1));
      const work = () => vi.advanceTimersByTimeAsync(10_000);
      await mock.run(() => runActivity(work, { heartbeatEveryMs: 2_000 }));
      expect(beats).toBe(5);
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });

  it('a cancelled activity ends as cancelled, whatever its work threw', async () => {
    const { mock } = environment();
    const running = mock.run(() =>
      runActivity(async ({ signal }) => {
        await once(signal, 'abort');
        throw new TypeError('the connection was closed');
      }),
    );
    mock.cancel('CANCELLED');
    await expect(running).rejects.toBeInstanceOf(CancelledFailure);
  });
});

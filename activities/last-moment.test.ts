import { once } from 'node:events';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { expect, it, vi } from 'vitest';
import { untilLastMoment } from './last-moment.ts';
import { runActivity } from './run-activity.ts';

const TWO_HOURS_MS = 2 * 3_600_000;
/** Of a server. */
const clock = () => Promise.resolve(Date.now());

/** A gateway that never answers: the call ends with the reason of its signal, as the real one does. */
const hang = async (signal: AbortSignal): Promise<never> => {
  if (!signal.aborted) await once(signal, 'abort');
  throw signal.reason;
};
const activityWith = (scheduledAgoMs: number, scheduleToCloseTimeoutMs = TWO_HOURS_MS) =>
  new MockActivityEnvironment(
    { scheduledTimestampMs: Date.now() - scheduledAgoMs, scheduleToCloseTimeoutMs },
    // Failing is what is tested; no need to log it.
    { logger: new DefaultLogger('ERROR') },
  );

it('a call that is unanswered when all time is up fails for what it is', async () => {
  const running = activityWith(TWO_HOURS_MS - 15_100).run(() =>
    runActivity(({ signal }) => untilLastMoment(signal, clock, hang)),
  );
  await expect(running).rejects.toMatchObject({ type: 'GATEWAY_UNAVAILABLE', nonRetryable: false });
});

it('fails early enough before the server’s own timeout to be told, and no earlier', async () => {
  vi.useFakeTimers();
  try {
    const ended: string[] = [];
    const running = activityWith(0)
      .run(() => runActivity(({ signal }) => untilLastMoment(signal, clock, hang)))
      .catch((error: unknown) => ended.push((error as { readonly type: string }).type));
    await vi.advanceTimersByTimeAsync(TWO_HOURS_MS - 15_001);
    expect(ended).toEqual([]);
    // Two servers' clocks may be ten seconds apart.
    await vi.advanceTimersByTimeAsync(5_000);
    await running;
    expect(ended).toEqual(['GATEWAY_UNAVAILABLE']);
  } finally {
    vi.useRealTimers();
  }
});

it('the worker’s own clock takes no part', async () => {
  for (const offMs of [-600_000, 600_000]) {
    const serverClock = () => Promise.resolve(Date.now() + offMs);
    const running = new MockActivityEnvironment(
      { scheduledTimestampMs: Date.now() + offMs, scheduleToCloseTimeoutMs: 15_200 },
      { logger: new DefaultLogger('ERROR') },
    ).run(() => runActivity(({ signal }) => untilLastMoment(signal, serverClock, hang)));
    await expect(running).rejects.toMatchObject({ type: 'GATEWAY_UNAVAILABLE' });
    const answered = new MockActivityEnvironment(
      { scheduledTimestampMs: Date.now() + offMs, scheduleToCloseTimeoutMs: TWO_HOURS_MS },
      { logger: new DefaultLogger('ERROR') },
    ).run(() =>
      runActivity(({ signal }) =>
        untilLastMoment(signal, serverClock, (inTime) => Promise.resolve(inTime.aborted)),
      ),
    );
    expect(await answered).toBe(false);
  }
});

it('a call that is answered in time leaves no timer behind', async () => {
  vi.useFakeTimers();
  try {
    const answer = activityWith(0).run(() =>
      runActivity(({ signal }) => untilLastMoment(signal, clock, () => Promise.resolve(vi.getTimerCount()))),
    );
    expect(await answer).toBe(1);
    expect(vi.getTimerCount()).toBe(0);
  } finally {
    vi.useRealTimers();
  }
});

it('a cancelled call ends as cancelled, with or without an end of all time', async () => {
  for (const timeoutMs of [TWO_HOURS_MS, 0]) {
    const environment = activityWith(0, timeoutMs);
    const running = environment.run(() => runActivity(({ signal }) => untilLastMoment(signal, clock, hang)));
    environment.cancel();
    await expect(running).rejects.toMatchObject({ name: 'CancelledFailure' });
  }
});

import { once } from 'node:events';
import {
  ActivityCancellationDetails,
  ApplicationFailure,
  CancelledFailure,
  type ActivityCancellationDetailsOptions,
} from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger, type LogEntry } from '@temporalio/worker';
import { describe, expect, it, vi } from 'vitest';
import { runActivity } from './run-activity.ts';
import { OUTSIDE_FAILURES } from './outside-failures.ts';
import { createProjectionActivities } from './projection/activities.ts';
import { createRunnerActivities } from './runner/activities.ts';
import { createVaultActivities } from './vault/activities.ts';
import {
  GatewayDeniedError,
  GatewayRejectedError,
  GatewayUnavailableError,
  ResearchDeniedError,
  ResearchRejectedError,
  ResearchUnavailableError,
  SlotBusyError,
} from '#domain/base/errors.ts';
import { registry } from '#metrics/registry.ts';
import { COUNTED_ACTIVITIES, COUNTED_STAGES } from '#metrics/workers.ts';

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

  const problem = { kind: null, status: 401, retryAfterMs: null };
  it.each([
    [new GatewayDeniedError(problem), 'gateway', 'denied', /MANA_SERVICE_KEY.*providers/],
    [new GatewayUnavailableError(problem), 'gateway', 'unavailable', null],
    [new GatewayRejectedError(problem), 'gateway', 'rejected', null],
    [new ResearchDeniedError(401), 'research', 'denied', /user token.*MANA_API_URL/],
    [new ResearchUnavailableError(null), 'research', 'unavailable', /MANA_API_URL.*MANA_RESEARCH_URL/],
    [new ResearchRejectedError(404), 'research', 'rejected', /MANA_API_URL.*MANA_RESEARCH_URL/],
  ] as const)('$code is counted, and told to the operator', async (error, service, reason, advice) => {
    const counted = async (): Promise<number> => {
      const metric = await registry.getSingleMetric('mana_outside_failures_total')?.get();
      const mine = metric?.values.find(
        ({ labels }) => labels['service'] === service && labels['reason'] === reason,
      );
      return mine?.value ?? 0;
    };
    const before = await counted();
    const { mock, entries } = environment();
    await expect(mock.run(() => runActivity(() => Promise.reject(error)))).rejects.toThrow();
    expect((await counted()) - before).toBe(1);
    const errors = entries.filter(({ level }) => level === 'ERROR');
    expect(errors.map(({ message }) => message)).toEqual(
      advice === null ? [] : [expect.stringMatching(advice)],
    );
    for (const { meta } of errors) expect(meta).toMatchObject({ failureType: error.code });
    expect(Object.keys(OUTSIDE_FAILURES)).toContain(error.code);
  });

  describe('of what is paid for', () => {
    const cancelledBy = async (details: ActivityCancellationDetailsOptions): Promise<unknown[]> => {
      const { mock } = environment();
      const told: unknown[] = [];
      const failure = await mock
        .run(() =>
          runActivity(
            ({ signal }) => {
              mock.cancel('CANCELLED', new ActivityCancellationDetails(details));
              told.push(signal.aborted);
              return Promise.resolve('kept');
            },
            { onPaused: () => Promise.resolve(void told.push('lets go')) },
          ),
        )
        .catch((error: unknown) => (error instanceof ApplicationFailure ? error.type : error));
      return [...told, failure];
    };

    it('a pause lets it end, and holds its result back', async () => {
      expect(await cancelledBy({ paused: true })).toEqual([false, 'lets go', 'PAUSED']);
    });

    it.each([
      { cancelRequested: true },
      { cancelRequested: true, paused: true },
      { reset: true, paused: true },
      { notFound: true },
    ])('%j ends it', async (details) => {
      expect(await cancelledBy(details)).toEqual([true, 'kept']);
    });

    it('one that fails while it is paused fails as it does', async () => {
      const { mock } = environment();
      const work = (): Promise<never> => {
        mock.cancel('PAUSED', new ActivityCancellationDetails({ paused: true }));
        return Promise.reject(new GatewayUnavailableError(problem));
      };
      const failing = mock.run(() => runActivity(work, { onPaused: () => Promise.resolve() }));
      await expect(failing).rejects.toMatchObject({ type: 'GATEWAY_UNAVAILABLE' });
    });

    it('other work is stopped by a pause', async () => {
      const { mock } = environment();
      const work = ({ signal }: { signal: AbortSignal }): Promise<never> => {
        mock.cancel('PAUSED', new ActivityCancellationDetails({ paused: true }));
        signal.throwIfAborted();
        throw new Error('not aborted');
      };
      await expect(mock.run(() => runActivity(work))).rejects.toThrow(CancelledFailure);
    });
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

  it('lost attempts are counted of those activities whose counters begin at 0, and of no other', async () => {
    const none = {} as never;
    const activities = {
      ...createRunnerActivities(none),
      ...createVaultActivities(none),
      ...createProjectionActivities(none),
    };
    const counted = async (): Promise<Map<unknown, number>> => {
      const metric = await registry.getSingleMetric('mana_activity_attempts_lost_total')?.get();
      return new Map(metric?.values.map(({ labels, value }) => [labels['activity'], value]));
    };
    const before = await counted();
    for (const name of [...COUNTED_ACTIVITIES, ...COUNTED_STAGES]) expect(before.get(name), name).toBe(0);
    for (const [activityType, act] of Object.entries(activities)) {
      const mock = new MockActivityEnvironment(
        { activityType, activityId: activityType, attempt: 2, heartbeatDetails: { ended: 0 } },
        { logger: new DefaultLogger('ERROR', () => undefined) },
      );
      await mock.run(act as () => Promise<unknown>).catch(() => undefined);
    }
    const after = [...(await counted())].filter(([name, value]) => value > (before.get(name) ?? 0));
    expect(after.map(([name]) => name).sort()).toEqual([...COUNTED_ACTIVITIES].sort());
  });

  describe('on its last chance', () => {
    /** Two attempts took their worker along. */
    const onLastChance = (activityId: string) => {
      const mock = new MockActivityEnvironment(
        { activityId, attempt: 3, heartbeatDetails: { ended: 0 } },
        { logger: new DefaultLogger('ERROR', () => undefined) },
      );
      const beats: unknown[] = [];
      mock.on('heartbeat', (details: unknown) => beats.push(details));
      return { mock, beats };
    };
    const options = { heartbeatEveryMs: 2_000 };

    it('says so before the work, which may end the process', async () => {
      const { mock, beats } = onLastChance('one');
      const known = await mock.run(() => runActivity(() => Promise.resolve([...beats]), options));
      expect(known).toEqual([{ ended: 0, lastChance: true }]);
    });

    it('waits for its turn without having said so, in one attempt', async () => {
      const first = onLastChance('first');
      const second = onLastChance('second');
      const begun = Promise.withResolvers<null>();
      const end = Promise.withResolvers<null>();
      const running = first.mock.run(() => runActivity(() => (begun.resolve(null), end.promise), options));
      await begun.promise;
      const waiting = second.mock.run(() => runActivity(() => Promise.resolve([...second.beats]), options));
      end.resolve(null);
      await running;
      // A further attempt would lengthen the pause that the server makes after a worker has died.
      expect(await waiting).toEqual([{ ended: 0, lastChance: true }]);
    });
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

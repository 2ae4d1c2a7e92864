import { afterEach, describe, expect, it, vi } from 'vitest';
import { seededRandom, simulateBrownout } from '#bench/brownout/simulate.ts';
import { GatewayRejectedError, GatewayUnavailableError } from '#domain/base/errors.ts';
import type { Gateway } from './gateway.ts';
import { limitGateway } from './gateway-limit.ts';

type Reply = Awaited<ReturnType<Gateway['complete']>>;
const REPLY: Reply = { bodyText: '{}', resolvedModel: null };
const statusError = (status: number | null, retryAfterMs: number | null = null) =>
  new GatewayUnavailableError({ kind: null, status, retryAfterMs });

/** A limited gateway whose calls are ended by the test, and a clock that stands until the test moves it. */
function createLimited(mostInFlight: number, timeoutMs?: number) {
  const calls: ReturnType<typeof Promise.withResolvers<Reply>>[] = [];
  let nowMs = 0;
  const gateway = limitGateway(
    {
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      complete: () => {
        const call = Promise.withResolvers<Reply>();
        calls.push(call);
        return call.promise;
      },
    },
    { mostInFlight, now: () => nowMs },
  );
  const settled = () => new Promise((resolve) => setImmediate(resolve));
  return {
    calls,
    ask: (signal = new AbortController().signal, lastLook: (() => Promise<void>) | null = null) => {
      const asked = gateway.complete('{}', {
        ...{ signal, idempotencyKey: 'k' },
        ...(lastLook === null ? {} : { lastLook }),
      });
      asked.catch(() => undefined);
      return asked;
    },
    wait: (ms: number) => (nowMs += ms),
    settled,
    /** Ends all calls under way. */
    end: async (error: Error | null) => {
      for (const call of calls.splice(0))
        if (error === null) call.resolve(REPLY);
        else call.reject(error);
      await settled();
    },
  };
}

describe('calls of the gateway', () => {
  it('are as many at a time as is set; as many again wait, the rest is not sent and comes back', async () => {
    const { ask, calls, settled, end } = createLimited(3);
    const asked = Array.from({ length: 7 }, () => ask());
    await settled();
    expect(calls).toHaveLength(3);
    await expect(asked[6]).rejects.toMatchObject({ problem: { notSent: true, retryAfterMs: 2_000 } });
    await end(null);
    expect(calls).toHaveLength(3);
    await end(null);
    expect(await Promise.all(asked.slice(0, 6))).toEqual(Array.from({ length: 6 }, () => REPLY));
  });

  it('are looked at when they have their place: one that may not be sent any more is not, and leaves it to the next', async () => {
    const { ask, calls, settled, end } = createLimited(1);
    const looked: string[] = [];
    const asked = [
      ask(),
      ask(undefined, () => Promise.reject(new Error(`revoked, ${looked.push('second')}`))),
    ];
    await settled();
    expect([calls.length, looked]).toEqual([1, []]);
    await end(null);
    await expect(asked[1]).rejects.toThrow('revoked, 1');
    expect(calls).toEqual([]);
    const next = ask(undefined, () => Promise.resolve());
    await settled();
    await end(null);
    expect(await next).toBe(REPLY);
  });

  it.each([429, 503, 504, null])(
    'are halved once for all that were under way when the answer is %s, and grow with replies',
    async (status) => {
      const { ask, calls, settled, wait, end } = createLimited(8);
      const underWay = async (count: number) => {
        for (let index = 0; index < count; index += 1) void ask();
        await settled();
        return calls.length;
      };
      expect(await underWay(8)).toBe(8);
      wait(10);
      await end(statusError(status));
      expect(await underWay(8)).toBe(4);
      // Each turn of replies makes room for about one more.
      for (let turn = 0; turn < 6; turn += 1) {
        await end(null);
        await underWay(8);
      }
      expect(calls.length).toBeGreaterThan(5);
    },
  );

  it('are not slowed down by what is about one request', async () => {
    const { ask, calls, settled, end } = createLimited(4);
    for (const error of [
      statusError(500),
      new GatewayRejectedError({ kind: null, status: 400, retryAfterMs: null }),
    ]) {
      for (let index = 0; index < 4; index += 1) void ask();
      await settled();
      expect(calls).toHaveLength(4);
      await end(error);
    }
  });

  it('pause where nothing but signs of overload come, for longer each time, and go on with the first reply', async () => {
    const { ask, calls, settled, wait, end } = createLimited(1);
    const pauses: number[] = [];
    /** Null: it is sent. */
    const pauseOf = async (): Promise<number | null> =>
      Promise.race([
        ask().then(
          () => null,
          (error: unknown) => (error as GatewayUnavailableError).problem.retryAfterMs,
        ),
        settled().then(() => null),
      ]);
    await pauseOf();
    for (let sign = 0; sign < 8; sign += 1) {
      // The first sign may be about one call; from the second on nothing but signs have come.
      wait(1);
      await end(statusError(503));
      if (sign === 0) expect(await pauseOf()).toBeNull();
      else {
        const pause = (await pauseOf()) ?? 0;
        pauses.push(pause);
        wait(pause);
        expect(await pauseOf()).toBeNull();
      }
    }
    expect(pauses).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
    await end(null);
    expect(await pauseOf()).toBeNull();
    expect(calls).toHaveLength(1);
  });

  it('wait for as long as the gateway says, up to a minute', async () => {
    for (const [said, waited] of [
      [7_000, 7_000],
      [86_400_000, 60_000],
    ] as const) {
      const { ask, settled, end } = createLimited(4);
      void ask();
      await settled();
      await end(statusError(429, said));
      await expect(ask()).rejects.toMatchObject({ problem: { notSent: true, retryAfterMs: waited } });
    }
  });

  it('that waited too long for a slow model to answer within their attempt are not sent, and come back', async () => {
    const { ask, calls, settled, wait, end } = createLimited(1, 570_000);
    void ask();
    const late = ask();
    await settled();
    wait(6_000);
    await end(null);
    await expect(late).rejects.toMatchObject({
      problem: { notSent: true, heldBack: true, retryAfterMs: 2_000 },
    });
    expect(calls).toEqual([]);
    void ask();
    const inTime = ask();
    await settled();
    wait(4_000);
    await end(null);
    expect(calls).toHaveLength(1);
    await end(null);
    expect(await inTime).toBe(REPLY);
  });

  it('that wait for their place end with their signal, and are not sent', async () => {
    const { ask, calls, settled, end } = createLimited(1);
    void ask();
    const controller = new AbortController();
    const waiting = ask(controller.signal);
    controller.abort(new Error('cancelled'));
    await expect(waiting).rejects.toThrow('cancelled');
    await end(null);
    await settled();
    expect(calls).toEqual([]);
  });
});

it('ten thousand waiting missions ask little of a gateway that is overloaded for an hour, and are all planned soon after', async () => {
  const random = seededRandom(1);
  const simulate = (isLimited: boolean) =>
    simulateBrownout({
      ...{ missions: 10_000, runners: 2, seconds: 3_600, capacity: 100, isLimited },
      random,
    });
  const during = (requests: readonly number[]): number =>
    requests.slice(60, 3_600).reduce((total, count) => total + count, 0);
  const [limited, unlimited] = [await simulate(true), await simulate(false)];
  // Two runners that each look twice a minute whether it is over.
  expect(during(limited.requests)).toBeLessThanOrEqual(2 * 2 * 60);
  expect(during(unlimited.requests)).toBeGreaterThan(100 * during(limited.requests));
  expect(limited.doneAfter).toBeLessThan(15 * 60);
});

describe('a clock that is set', () => {
  afterEach(() => vi.useRealTimers());

  it('a day back holds no call back for longer than the gateway asked', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    let isOverloaded = true;
    const gateway = limitGateway(
      { complete: () => (isOverloaded ? Promise.reject(statusError(429, 20)) : Promise.resolve(REPLY)) },
      { mostInFlight: 1 },
    );
    const ask = () => gateway.complete('{}', { signal: new AbortController().signal, idempotencyKey: 'k' });
    await expect(ask()).rejects.toMatchObject({ problem: { status: 429 } });
    isOverloaded = false;
    vi.setSystemTime(Date.now() - 86_400_000);
    await vi.waitFor(async () => expect(await ask()).toBe(REPLY));
  });
});

import { describe, expect, it } from 'vitest';
import {
  GatewayDeniedError,
  GatewayRejectedError,
  GatewayUnavailableError,
  GrantUnusableError,
  RunKeyLostError,
  SlotBusyError,
  WindowTooSmallError,
} from '#domain/base/errors.ts';
import type { PlanRoundResult } from '#domain/run/run.ts';
import {
  MINUTE_MS,
  HOUR_MS,
  type Fakes,
  type Recorded,
  ready,
  sealed,
  round,
  observed,
  environment,
  run,
  unavailable,
  throwing,
  GRANTED,
} from '#test/support/faked-runs.ts';

/** Of test/workflows/mission-run.test.ts, in its process: a server and workers for these alone would cost seconds. */
export function runsThatFail(): void {
  describe('a run that fails', () => {
    const own = { ownFieldsEncrypted: true };

    it.each<[string, Fakes, string, number]>([
      ['no grant for its own fields', { loadRun: () => ready(own) }, 'grant-absent', 0],
      ['an expired grant', { loadRun: () => ready({ ...own, grant: 'expired' }) }, 'grant-expired', 0],
      [
        'a grant that the vault refuses',
        { ...GRANTED, sealInputs: () => sealed({ problem: 'revoked' }) },
        'grant-revoked',
        1,
      ],
      [
        'own fields that do not open',
        { ...GRANTED, sealInputs: () => sealed({ ownFieldsReadable: false }) },
        'mission-undecryptable',
        1,
      ],
    ])('for %s asks no model and says why', async (_, fakes, code, seals) => {
      const done = await run(fakes);
      expect(done.result).toMatchObject({ outcome: 'failed', failureCode: code, rounds: 0 });
      expect(done.rounds).toEqual([]);
      expect(done.seals).toHaveLength(seals);
      expect(done.writes).toMatchObject([
        { result: { kind: 'failed', failure: { code, phase: 'resolving-inputs' } } },
      ]);
      expect(done.forgotten).toHaveLength(1);
    });

    it.each<[string, NonNullable<Fakes['planRound']>, string, number]>([
      ['a grant that ended meanwhile', throwing(new GrantUnusableError('revoked')), 'grant-revoked', 1],
      [
        'a refusal',
        throwing(new GatewayRejectedError({ kind: 'blocked', status: 422, retryAfterMs: null })),
        'gateway-rejected',
        1,
      ],
      [
        'a hiccup twice',
        throwing(new GatewayRejectedError({ kind: null, status: 400, retryAfterMs: null }, true)),
        'gateway-rejected',
        2,
      ],
      ['a window that is too small', throwing(new WindowTooSmallError()), 'window-too-small', 1],
      ['a transcript that is lost', () => round('transcript-lost', 0), 'run-interrupted', 1],
      ['a budget that is used up', () => round('budget-exhausted', 0), 'budget-exhausted', 1],
    ])('for %s says why, once', async (_, planRound, code, calls) => {
      const done = await run({ planRound });
      expect(done.result).toMatchObject({ outcome: 'failed', failureCode: code });
      expect(done.rounds).toHaveLength(calls);
      expect(done.writes).toMatchObject([
        { result: { kind: 'failed', failure: { code, phase: 'calling-llm' } } },
      ]);
    });

    it('runs all the same when only inputs need the grant that it lacks', async () => {
      const done = await run({ loadRun: () => ready({ grant: 'expired' }) });
      expect(done.result).toMatchObject({ outcome: 'planned' });
    });
  });

  describe('a later round that fails', () => {
    const denied = new GatewayDeniedError({ kind: 'auth', status: 401, retryAfterMs: null });
    it.each<[string, Error, string]>([
      [
        'a refusal',
        new GatewayRejectedError({ kind: 'blocked', status: 422, retryAfterMs: null }),
        'gateway-rejected',
      ],
      ['a request that is too large for the model', new WindowTooSmallError(), 'window-too-small'],
      ['a gateway that is down', unavailable(), 'gateway-unavailable'],
      ['a key that is not accepted', denied, 'gateway-unavailable'],
      ['a key that is lost', new RunKeyLostError(), 'run-interrupted'],
      ['an agent that stays busy', new SlotBusyError('i1', 0), 'run-interrupted'],
    ])('for %s costs none of the steps that are there', async (_, error, code) => {
      const rounds = [round('continue', 2)];
      const planRound = () => {
        const first = rounds.shift();
        return first === undefined ? Promise.reject<PlanRoundResult>(error) : Promise.resolve(first);
      };
      const done = await run({ planRound });
      expect(done.writes).toMatchObject([
        { result: { kind: 'planned', cutShort: { code, phase: 'calling-llm' } } },
      ]);
      expect(done.result).toMatchObject({ outcome: 'planned' });
      expect(done.forgotten).toHaveLength(1);
    });
  });

  it('rounds whose activity never returned are told of by what was written', async () => {
    const planRound = throwing(new RunKeyLostError());
    const planned = { outcome: 'planned', steps: 1, failureCode: null } as const;
    const writeIteration = () => ({ ...planned, rounds: 3, totalTokens: 30 });
    expect((await run({ planRound, writeIteration })).result).toEqual({
      ...planned,
      rounds: 3,
      totalTokens: 30,
    });
    // Of a compaction only the run itself has heard.
    const known = await run({ writeIteration: () => ({ ...planned, rounds: 1, totalTokens: 5 }) });
    expect(known.result).toMatchObject({ rounds: 1, totalTokens: 10 });
  });

  describe('a gateway', () => {
    const elapsedMs = (rounds: Recorded['rounds']): number =>
      (rounds.at(-1)?.atMs ?? 0) - (rounds[0]?.atMs ?? 0);

    it('that is down for good costs two hours of tries, then one failed iteration names the cause', async () => {
      const done = await run({ planRound: throwing(unavailable()) });
      expect(done.result).toMatchObject({ outcome: 'failed', failureCode: 'gateway-unavailable', rounds: 1 });
      expect(done.writes).toHaveLength(1);
      expect(elapsedMs(done.rounds)).toBeGreaterThan(1.8 * HOUR_MS);
      expect(elapsedMs(done.rounds)).toBeLessThanOrEqual(2 * HOUR_MS);
      // Backed off: some forty calls, not a call a second.
      expect(done.rounds.length).toBeLessThan(50);
    });

    it('that accepts no key of ours is asked for two hours, and no user is told to change anything', async () => {
      const denied = new GatewayDeniedError({ kind: null, status: 403, retryAfterMs: null });
      const done = await run({ planRound: throwing(denied) });
      expect(done.result).toMatchObject({ outcome: 'failed', failureCode: 'gateway-unavailable' });
      expect(elapsedMs(done.rounds)).toBeGreaterThan(1.8 * HOUR_MS);
    });

    it('that answers with nothing to read is not called unreachable: at once where each answer is paid for, else after two hours', async () => {
      const unreadable = { kind: null, status: 200, retryAfterMs: null };
      const paid = new GatewayUnavailableError(unreadable, { failures: 2, refusals: 0, unreadable: 2 });
      for (const error of [paid, new GatewayUnavailableError(unreadable)]) {
        const done = await run({ planRound: throwing(error) });
        expect(done.result).toMatchObject({ outcome: 'failed', failureCode: 'unreadable-reply' });
        expect(done.writes).toHaveLength(1);
        if (error === paid) expect(done.rounds).toHaveLength(1);
        else expect(elapsedMs(done.rounds)).toBeGreaterThan(1.8 * HOUR_MS);
      }
    });

    it('that is down for an hour costs no iteration', async () => {
      let endMs = Infinity;
      const done = await run({
        planRound: async () => {
          const nowMs = await environment.currentTimeMs();
          if (endMs === Infinity) endMs = nowMs + HOUR_MS;
          if (nowMs < endMs) throw unavailable();
          return round('finished');
        },
      });
      expect(done.result).toMatchObject({ outcome: 'planned', failureCode: null });
      expect(elapsedMs(done.rounds)).toBeGreaterThanOrEqual(HOUR_MS);
      expect(elapsedMs(done.rounds)).toBeLessThan(HOUR_MS + 6 * MINUTE_MS);
    });

    it('that names a time is not asked before it', async () => {
      const replies = [unavailable(10 * MINUTE_MS)];
      const done = await run({
        planRound: () => {
          const error = replies.shift();
          if (error !== undefined) throw error;
          return round('finished');
        },
      });
      expect(done.rounds).toHaveLength(2);
      expect(elapsedMs(done.rounds)).toBeGreaterThanOrEqual(10 * MINUTE_MS);
    });
  });

  describe('a busy agent', () => {
    const busy = new SlotBusyError('i1', 30 * MINUTE_MS);

    it('makes the run wait until there is room, which is measured', async () => {
      let looks = 0;
      const before = await observed('mana_agent_slot_wait_seconds');
      const done = await run({
        loadRun: () => {
          looks += 1;
          if (looks < 8) throw busy;
          return ready({ agentId: 'a1' });
        },
      });
      expect(done.result).toMatchObject({ outcome: 'planned' });
      expect(done.loads).toHaveLength(8);
      const after = await observed('mana_agent_slot_wait_seconds');
      expect(after.count).toBe(before.count + 1);
      // The first look was a local activity's; then six pauses, of 3.75 to 45 s.
      expect(after.sum - before.sum).toBeGreaterThan(60);
      expect(after.sum - before.sum).toBeLessThan(300);
    });

    it('is waited for no longer than until the next run is due; then the run only moves on', async () => {
      const done = await run({
        loadRun: () => {
          throw busy;
        },
      });
      expect(done.result).toMatchObject({ outcome: 'agent-busy', rounds: 0 });
      // Half an hour in steps of some 45 s.
      expect(done.loads.length).toBeGreaterThan(25);
      expect(done.loads.length).toBeLessThan(60);
      expect(done.writes).toMatchObject([{ iterationId: 'i1', result: { kind: 'advance-only' } }]);
      expect(done.forgotten).toHaveLength(1);
    });
  });
}

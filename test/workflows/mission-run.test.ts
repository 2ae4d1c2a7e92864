import { toIterationId } from '#domain/base/ids.ts';
import { randomUUID } from 'node:crypto';
import proto from '@temporalio/proto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  EventIdConflictError,
  GrantUnusableError,
  ResearchPendingError,
  ResearchUnavailableError,
} from '#domain/base/errors.ts';
import type { RefusedRun, ResearchKind, SubmitResearchResult } from '#domain/run/run.ts';
import {
  cancelRunSignal,
  HEAL_ITERATIONS_WORKFLOW_TYPE,
  MISSION_RUN_WORKFLOW_TYPE,
  RUNNER_TASK_QUEUE,
  runProgressQuery,
  SWEEP_RUNS_WORKFLOW_TYPE,
} from '#temporal/messages.ts';
import { runsThatFail } from './mission-run-failures.ts';
import { waitUntil } from '#test/support/wait-until.ts';
import {
  MINUTE_MS,
  type Fakes,
  ready,
  round,
  lines,
  endLineOf,
  tracedEnds,
  observed,
  environment,
  startRuns,
  stopRuns,
  type MissionRun,
  start,
  run,
  unavailable,
  throwing,
  GRANTED,
} from '#test/support/faked-runs.ts';

beforeAll(startRuns);
afterAll(stopRuns);

describe('a run', () => {
  it('goes through load, seal, rounds, write-back and forgetting', async () => {
    const rounds = [round('continue', 1), round('continue', 2), round('finished', 2)];
    const done = await run({ ...GRANTED, planRound: () => rounds.shift() ?? round('finished') });
    expect(done.result).toMatchObject({ outcome: 'planned', rounds: 3, totalTokens: 30, failureCode: null });
    expect(done.seals).toHaveLength(1);
    expect(done.rounds.map((each) => [each.round, each.grantUsable])).toEqual([
      [1, true],
      [2, true],
      [3, true],
    ]);
    expect(done.writes).toMatchObject([
      { iterationId: 'i1', grantUsable: true, result: { kind: 'planned' } },
    ]);
    expect(done.forgotten).toEqual([done.runId]);
  });

  it('without a grant seals nothing, and plans with what is in clear', async () => {
    const done = await run({});
    expect(done.result).toMatchObject({ outcome: 'planned', rounds: 1 });
    expect(done.seals).toEqual([]);
    expect(done.rounds).toMatchObject([{ grantUsable: false }]);
  });

  it.each([
    [30_000, [30, 30]],
    [undefined, [10, 10]],
  ])('loaded with a heartbeat timeout of %s ms has its activities beat within it', async (ms, seconds) => {
    const { handle } = await start({
      ...GRANTED,
      loadRun: () => ready({ grant: 'usable', ...(ms !== undefined && { heartbeatTimeoutMs: ms }) }),
    });
    await handle.result();
    const { events } = await handle.fetchHistory();
    const scheduled = (events ?? []).flatMap((event) => event.activityTaskScheduledEventAttributes ?? []);
    expect(scheduled.map(({ activityType }) => activityType?.name)).toEqual(['sealInputs', 'planRound']);
    expect(scheduled.map(({ heartbeatTimeout }) => Number(heartbeatTimeout?.seconds))).toEqual(seconds);
  });

  it('asks five rounds at most, and then writes what there is', async () => {
    const done = await run({ planRound: () => round('continue') });
    expect(done.rounds.map((each) => each.round)).toEqual([1, 2, 3, 4, 5]);
    expect(done.writes).toMatchObject([{ result: { kind: 'planned' } }]);
  });

  it.each([
    ['key-changed', 'usable', 'grant-key-changed'],
    ['mission-empty', 'usable', 'mission-empty'],
    ['mission-undecryptable', 'usable', 'mission-undecryptable'],
    ['mission-undecryptable', 'expired', 'grant-expired'],
    ['mission-undecryptable', 'absent', 'grant-absent'],
  ] as const)('without the user’s words (%s, grant %s) fails as %s', async (status, grant, code) => {
    const done = await run({ loadRun: () => ready({ grant }), planRound: () => round(status, 0) });
    expect(done.writes).toMatchObject([
      { result: { kind: 'failed', failure: { code, phase: 'resolving-inputs' } } },
    ]);
    expect(done.rounds).toHaveLength(1);
  });

  it('whose budget ends in a later round writes the steps that it has', async () => {
    const rounds = [round('continue', 1), round('budget-exhausted', 1)];
    const done = await run({ planRound: () => rounds.shift() ?? round('finished') });
    expect(done.writes).toMatchObject([{ result: { kind: 'planned' } }]);
  });

  it('whose mission was deleted meanwhile says so', async () => {
    const done = await run({
      writeIteration: () => ({ outcome: 'mission-gone', steps: 0, failureCode: null }),
    });
    expect(done.result).toMatchObject({ outcome: 'deleted' });
  });
});

describe('a run that a gate ends', () => {
  it.each<RefusedRun['outcome']>(['not-due', 'already-running', 'paused', 'deleted'])(
    'with %s writes and forgets nothing',
    async (outcome) => {
      const done = await run({ loadRun: () => ({ outcome, iterationId: null }) });
      expect(done.result).toMatchObject({ outcome, rounds: 0 });
      expect([done.seals, done.rounds, done.writes, done.forgotten]).toEqual([[], [], [], []]);
    },
  );

  it.each<RefusedRun['outcome']>(['already-written', 'agent-paused'])(
    'with %s only moves on to the next instant',
    async (outcome) => {
      const done = await run({ loadRun: () => ({ outcome, iterationId: toIterationId('i1') }) });
      expect(done.result).toMatchObject({ outcome, rounds: 0 });
      expect(done.writes).toMatchObject([{ result: { kind: 'advance-only' } }]);
      expect(done.forgotten).toHaveLength(1);
    },
  );
});

// Before the runs that are cancelled in the middle of a call: behind those the server skips no more time.
runsThatFail();

describe('research', () => {
  /** The first round wants it, until it has been done. */
  const wanting = (kind: ResearchKind): NonNullable<Fakes['planRound']> => {
    let asked = false;
    return () => {
      if (asked) return round('finished');
      asked = true;
      return { ...round('research-wanted', 0), totalTokens: 0, research: kind };
    };
  };
  const submitted = (): SubmitResearchResult => ({ state: 'submitted' });

  it('comes before the first round, which is then asked; a run without wishes has none', async () => {
    const done = await run({ planRound: wanting('shallow') });
    expect(done.besides).toEqual(['submit shallow']);
    expect(done.rounds.map((each) => each.round)).toEqual([1, 1]);
    expect(done.result).toMatchObject({ outcome: 'planned', rounds: 1, totalTokens: 10 });
    expect((await run({})).besides).toEqual([]);
  });

  it('of an hour is waited for, and costs no more events than one of a second', async () => {
    let endMs = Infinity;
    const { handle, recorded } = await start({
      planRound: wanting('deep'),
      submitResearch: submitted,
      awaitResearch: async () => {
        const nowMs = await environment.currentTimeMs();
        if (endMs === Infinity) endMs = nowMs + 58 * MINUTE_MS;
        if (nowMs < endMs) throw new ResearchPendingError();
      },
    });
    expect(await handle.result()).toMatchObject({ outcome: 'planned' });
    expect(recorded.besides).toEqual(['submit deep', 'await']);
    const [first, second] = recorded.rounds;
    expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBeGreaterThanOrEqual(58 * MINUTE_MS);
    expect((await handle.fetchHistory()).events?.length).toBeLessThan(60);
  });

  it.each<[string, Partial<Fakes>, string[]]>([
    [
      'takes longer than 65 minutes',
      { submitResearch: submitted, awaitResearch: () => Promise.reject(new ResearchPendingError()) },
      ['submit deep', 'await', 'give up'],
    ],
    [
      'finds its service down three times',
      { submitResearch: () => Promise.reject(new ResearchUnavailableError(null)) },
      ['submit deep', 'submit deep', 'submit deep', 'give up'],
    ],
    [
      'loses its grant',
      { submitResearch: submitted, awaitResearch: () => Promise.reject(new GrantUnusableError('revoked')) },
      ['submit deep', 'await', 'give up'],
    ],
    ['fails', { submitResearch: () => ({ state: 'failed' }) }, ['submit deep']],
  ])('that %s is given up, and the run goes on without', async (_, fakes, besides) => {
    const done = await run({ planRound: wanting('deep'), ...fakes });
    expect(done.besides).toEqual(besides);
    expect(done.result).toMatchObject({ outcome: 'planned', rounds: 1 });
  });

  it('is cancelled with its run', async () => {
    const { handle, recorded } = await start({
      planRound: wanting('deep'),
      submitResearch: submitted,
      awaitResearch: () => Promise.reject(new ResearchPendingError()),
    });
    await waitUntil('the run waits', () => recorded.besides.includes('await'));
    await handle.signal(cancelRunSignal);
    expect(await handle.result()).toMatchObject({ outcome: 'cancelled' });
    expect(recorded.besides).not.toContain('give up');
  });
});

describe('a conversation near the window', () => {
  const compactEach = (): NonNullable<Fakes['planRound']> => () => ({ ...round('continue'), compact: true });

  it('is compacted before the next round, not after the last one, and its tokens are counted', async () => {
    const done = await run({ loadRun: () => ready({ maxRounds: 3 }), planRound: compactEach() });
    expect(done.besides).toEqual(['compact 1', 'compact 2']);
    expect(done.result).toMatchObject({ outcome: 'planned', rounds: 3, totalTokens: 40 });
  });

  it('goes on as it is where that fails', async () => {
    const done = await run({
      loadRun: () => ready({ maxRounds: 2 }),
      planRound: compactEach(),
      compactTranscript: () => {
        throw unavailable();
      },
    });
    expect(done.besides).toEqual(['compact 1', 'compact 1', 'compact 1']);
    expect(done.result).toMatchObject({ outcome: 'planned', rounds: 2 });
  });
});

it('a workflow task that fails ends no run: it is done again', async () => {
  const workflowId = randomUUID();
  const handle = await environment.client.workflow.start<MissionRun>(MISSION_RUN_WORKFLOW_TYPE, {
    ...{ workflowId, taskQueue: RUNNER_TASK_QUEUE },
    args: [{ userId: ' ', missionId: workflowId, trigger: 'projection' }],
  });
  await waitUntil('a task has failed', async () => {
    const { events } = await handle.fetchHistory();
    return events?.some((event) => event.workflowTaskFailedEventAttributes) === true;
  });
  const told = lines.filter((line) => line.includes(workflowId));
  expect(told.length).toBeGreaterThan(0);
  for (const line of told) expect(JSON.parse(line)).toMatchObject({ msg: 'run started' });
  expect(tracedEnds.has(workflowId)).toBe(false);
  await handle.terminate();
});

describe('cancelRun', () => {
  it('between two tries of the gateway ends the run at once: no iteration, the next instant, forgotten', async () => {
    const { handle, recorded } = await start({ planRound: throwing(unavailable()) });
    await waitUntil('the gateway was asked', () => recorded.rounds.length > 0);
    await handle.signal(cancelRunSignal);
    expect(await handle.result()).toMatchObject({ outcome: 'cancelled', failureCode: null });
    expect(recorded.writes).toMatchObject([{ result: { kind: 'advance-only' } }]);
    expect(recorded.forgotten).toHaveLength(1);
  });

  it('while it is loaded waits until that has claimed the instant or not: the claim is ended', async () => {
    const [loading, cancelled] = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()];
    const { handle, recorded } = await start({
      loadRun: async () => {
        loading.resolve(undefined);
        await cancelled.promise;
        return ready();
      },
      planRound: throwing(unavailable()),
    });
    await loading.promise;
    await handle.signal(cancelRunSignal);
    // The workflow hears of it when the worker asks for more time for the load.
    await waitUntil('the signal has reached the worker', async () => {
      const { events } = await handle.fetchHistory();
      const types = (events ?? []).map(({ eventType }) => eventType);
      const { EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED: SIGNALED, EVENT_TYPE_WORKFLOW_TASK_STARTED: STARTED } =
        proto.temporal.api.enums.v1.EventType;
      return types.includes(SIGNALED) && types.slice(types.indexOf(SIGNALED)).includes(STARTED);
    });
    cancelled.resolve(undefined);
    expect(await handle.result()).toMatchObject({ outcome: 'cancelled' });
    expect(recorded.writes).toMatchObject([{ result: { kind: 'advance-only', cause: 'cancelled' } }]);
    expect(recorded.rounds).toEqual([]);
    expect(recorded.forgotten).toHaveLength(1);
  });

  it('during a call aborts it', async () => {
    const asked = Promise.withResolvers<AbortSignal>();
    const { handle } = await start({
      planRound: (_input, signal) => {
        asked.resolve(signal);
        return new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(new Error('aborted')));
        });
      },
    });
    const signal = await asked.promise;
    expect(await handle.query(runProgressQuery)).toEqual({ phase: 'calling-llm', round: 1, totalTokens: 0 });
    await handle.signal(cancelRunSignal);
    expect(await handle.result()).toMatchObject({ outcome: 'cancelled' });
    await waitUntil('the call is aborted', () => signal.aborted);
  });

  it('by an operator in Temporal shows as cancelled there, and the mission moves on as well', async () => {
    const { handle, recorded } = await start({ planRound: throwing(unavailable()) });
    await waitUntil('the gateway was asked', () => recorded.rounds.length > 0);
    await handle.cancel();
    await expect(handle.result()).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } });
    expect((await handle.describe()).status.name).toBe('CANCELLED');
    expect(await endLineOf(handle.workflowId)).toMatchObject({ outcome: 'cancelled', rounds: null });
    // As it was told: nothing went wrong.
    expect(tracedEnds.get(handle.workflowId)).toBe(false);
    expect(recorded.writes).toMatchObject([{ result: { kind: 'advance-only' } }]);
    expect(recorded.forgotten).toHaveLength(1);
  });
});

describe('what is measured of a run', () => {
  it('is how late it began, how long it took and each phase, in the time that the server knows', async () => {
    const names = ['mana_run_start_lag_seconds', 'mana_run_duration_seconds'];
    const before = await Promise.all(names.map(observed));
    const dueAtMs = (await environment.currentTimeMs()) - 20_000;
    const slow = [throwing(unavailable()), () => round('continue'), () => round('finished')];
    const { handle } = await start({
      loadRun: () => ready({ dueAtMs }),
      planRound: () => (slow.shift() ?? (() => round('finished')))(),
    });
    await handle.result();
    const line = (await endLineOf(handle.workflowId)) as {
      durationMs: number;
      phaseMs: Record<string, number>;
    };
    const after = await Promise.all(names.map(observed));
    const [lag, runs] = after.map(({ count, sum }, index) => ({
      count: count - (before[index]?.count ?? 0),
      sum: sum - (before[index]?.sum ?? 0),
    }));
    expect(lag).toMatchObject({ count: 1 });
    expect(lag?.sum).toBeGreaterThanOrEqual(20);
    expect(runs?.sum).toBeCloseTo(line.durationMs / 1_000, 3);
    // The pause after the gateway's failure is part of the phase.
    expect(line.phaseMs['calling-llm']).toBeGreaterThan(3_000);
  });

  it('and one that cannot even say that it failed ends as stuck', async () => {
    const { handle } = await start({
      writeIteration: () => {
        throw new EventIdConflictError();
      },
    });
    await expect(handle.result()).rejects.toThrow();
    expect(await endLineOf(handle.workflowId)).toMatchObject({
      outcome: 'stuck',
      failureCode: null,
      rounds: null,
    });
  });
});

it('healIterations and sweepRuns pass on what they did', async () => {
  const execute = (type: string, args: unknown[]): Promise<unknown> =>
    environment.client.workflow.execute(type, {
      workflowId: randomUUID(),
      taskQueue: RUNNER_TASK_QUEUE,
      args,
    });
  expect(await execute(HEAL_ITERATIONS_WORKFLOW_TYPE, [{ userId: 'u', missionId: 'm' }])).toEqual({
    restored: 2,
  });
  expect(await execute(SWEEP_RUNS_WORKFLOW_TYPE, [])).toEqual({ swept: 3 });
});

import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sweepRuns } from '#activities/runner/forget-run.ts';
import { writeIteration } from '#activities/runner/write-iteration.ts';
import { agentAt, missionAt } from '#dev/web-app.ts';
import {
  BudgetReservedError,
  GatewayRejectedError,
  GatewayUnavailableError,
  type GatewayProblem,
} from '#domain/base/errors.ts';
import type { PlannerReply } from '#domain/planner/model/planner-reply.ts';
import type { PlanRoundResult } from '#domain/run/run.ts';
import { registry } from '#metrics/registry.ts';
import {
  createActivityHarness,
  PLANNER_SETTINGS,
  type ActivityHarness,
} from '#test/support/activity-dependencies.ts';
import { query } from '#test/support/inspect.ts';
import {
  createTask,
  reply,
  STORY_AGENT,
  storiesOf,
  type Answer,
  type Stories,
  type Story,
} from '#test/support/round-stories.ts';

let harness: ActivityHarness;
let stories: Stories;
beforeAll(async () => {
  harness = await createActivityHarness('token-budgets-test');
  stories = storiesOf(harness);
});
afterAll(() => harness.close());

const POLICY = { ...STORY_AGENT.policy, tools: { create_task: 'propose' } };
const withBudget = (maxTokensPerDay: number | null): Promise<Story> =>
  stories.write({}, { policy: POLICY, maxTokensPerDay });
const costing = (totalTokens: number, more: Partial<PlannerReply> = {}): PlannerReply =>
  reply({ totalTokens, promptTokens: totalTokens, completionTokens: 0, ...more });
const planning = (title: string, totalTokens: number): PlannerReply =>
  costing(totalTokens, { toolCalls: [createTask(title)] });
const failing =
  (error: Error): Answer =>
  () => {
    throw error;
  };

/** What the agent's runs hold. */
const reservedOf = ({ user }: Story) =>
  query(
    harness.databases.superuser.syncUrl,
    `select iteration_id as "iterationId", round, purpose, reserved_tokens::int as reserved,
       estimated_tokens::int as estimated, workflow_id as "workflowId", run_id as "runId"
     from mana_ai.budget_reservations where user_id = $1`,
    [user.userId],
  );
async function unknownTokensCounted(): Promise<number> {
  const metric = await registry.getSingleMetric('mana_llm_tokens_total')?.get();
  return metric?.values.find(({ labels }) => labels['purpose'] === 'unknown')?.value ?? 0;
}

describe('the tokens of a round', () => {
  it('are reserved while it is asked, and settled by what it cost', async () => {
    const told = await withBudget(100_000);
    let during: unknown[] = [];
    await told.round(1, async () => {
      during = await reservedOf(told);
      return planning('x', 700);
    });
    expect(during).toEqual([
      {
        ...{ iterationId: told.run.iterationId, round: 1, purpose: 'plan', runId: told.run.runId },
        ...{ workflowId: `w-${told.run.missionId}` },
        reserved: expect.toSatisfy((tokens: number) => tokens > 8_192 && tokens < 11_000) as unknown,
        estimated: expect.toSatisfy((tokens: number) => tokens > 1_000 && tokens < 10_000) as unknown,
      },
    ]);
    expect(await reservedOf(told)).toEqual([]);
    expect(await stories.usage(told)).toEqual([{ round: 1, purpose: 'plan', tokens: 700 }]);
  });

  it('are not reserved for an agent without a limit', async () => {
    const told = await withBudget(null);
    let during: unknown[] | null = null;
    await told.round(1, async () => {
      during = await reservedOf(told);
      return reply();
    });
    expect(during).toEqual([]);
  });

  it('count by estimate where the gateway does not say, or a budget would never end', async () => {
    const told = await withBudget(100_000);
    await told.round(1, () => costing(0));
    expect(await stories.usage(told)).toEqual([
      { round: 1, purpose: 'plan', tokens: 0 },
      {
        round: 1,
        purpose: 'unknown',
        tokens: expect.toSatisfy((tokens: number) => tokens > 1_000) as unknown,
      },
    ]);
  });

  it.each<[string, Error, boolean]>([
    ['the gateway cannot be reached', unavailable({ notSent: true }), false],
    ['the gateway refuses', new GatewayRejectedError({ ...NO_ANSWER, status: 422, kind: 'blocked' }), false],
    ['the provider limits the rate', unavailable({ status: 429 }), false],
    ['no provider is well', unavailable({ status: 503 }), false],
    ['no answer comes in time', unavailable({}), true],
    ['a proxy waits no longer', unavailable({ status: 504 }), true],
    ['the provider broke its reply off', unavailable({ status: 502, kind: 'truncated' }), true],
    ['a 200 holds no reply', unavailable({ status: 200 }), true],
    ['the call is aborted', new Error('aborted'), true],
  ])('when %s: given back, unless they may have been charged', async (_, error, isCharged) => {
    const told = await withBudget(100_000);
    await expect(told.round(1, failing(error))).rejects.toMatchObject({
      name: error.name,
      message: error.message,
    });
    expect(await reservedOf(told)).toEqual([]);
    const usage = await stories.usage(told);
    expect(usage.map(({ purpose }) => purpose)).toEqual(isCharged ? ['unknown'] : []);
  });
});

const NO_ANSWER: GatewayProblem = { kind: null, status: null, retryAfterMs: null };
function unavailable(problem: Partial<GatewayProblem>): GatewayUnavailableError {
  return new GatewayUnavailableError({ ...NO_ANSWER, ...problem });
}

describe('concurrent runs of one agent', () => {
  /** As Temporal does it, without the delay. */
  async function untilAsked(round: () => Promise<PlanRoundResult>): Promise<PlanRoundResult> {
    for (;;) {
      try {
        return await round();
      } catch (error) {
        if (!(error instanceof BudgetReservedError)) throw error;
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
  }

  it('overspend its budget by at most one round, however many there are', async () => {
    // No round costs more than it reserves: its request by estimate, and the longest reply that was asked for.
    const [max, cost] = [50_000, 8_500];
    const first = await withBudget(max);
    const told = [
      first,
      ...(await Promise.all(Array.from({ length: 7 }, () => stories.writeAnother(first)))),
    ];
    const ends = await Promise.all(
      told.map(async (run) => {
        for (let round = 1; ; round += 1) {
          const { status } = await untilAsked(() => run.round(round, () => planning(`${round}`, cost)));
          if (status !== 'continue') return status;
        }
      }),
    );
    expect(new Set(ends)).toEqual(new Set(['budget-exhausted']));
    const spent = (await Promise.all(told.map((run) => stories.usage(run)))).flat();
    const total = spent.reduce((sum, { tokens }) => sum + Number(tokens), 0);
    expect(total).toBeGreaterThanOrEqual(max);
    expect(total).toBeLessThan(max + cost);
    expect(await reservedOf(first)).toEqual([]);
  });

  it('wait while another one holds the rest, and go on with what it did not use', async () => {
    const holder = await withBudget(15_000);
    const other = await stories.writeAnother(holder);
    await holder.round(1, async () => {
      await expect(other.round(1, () => reply())).rejects.toBeInstanceOf(BudgetReservedError);
      return planning('x', 100);
    });
    expect(await other.round(1, () => reply())).toMatchObject({ status: 'finished' });
  });
});

describe('a round whose reply nobody saw', () => {
  it('counts as spent once its next attempt comes, and the user is told', async () => {
    const told = await withBudget(100_000);
    const before = await unknownTokensCounted();
    await told.crashIn(1);
    const [reservation] = await reservedOf(told);
    expect(await told.round(1, () => planning('x', 500))).toMatchObject({ status: 'continue' });
    const estimatedTokens = Number(reservation?.['estimated']);
    expect(await stories.usage(told)).toEqual([
      { round: 1, purpose: 'plan', tokens: 500 },
      { round: 1, purpose: 'unknown', tokens: estimatedTokens },
    ]);
    expect((await told.entries())[0]?.notices).toEqual([{ kind: 'unknown-spend', estimatedTokens }]);
    expect((await unknownTokensCounted()) - before).toBe(estimatedTokens);
  });

  it('counts each time it happens', async () => {
    const told = await withBudget(1_000_000);
    for (let crash = 0; crash < 3; crash += 1) await told.crashIn(1);
    const [{ estimated = 0 } = {}] = await reservedOf(told);
    await told.forget();
    expect(await stories.usage(told)).toEqual([
      { round: 1, purpose: 'unknown', tokens: 3 * Number(estimated) },
    ]);
  });

  it('of a run that is gone is settled by the next run that needs the budget', async () => {
    const gone = await withBudget(15_000);
    const heir = await stories.writeAnother(gone);
    await gone.crashIn(1);
    await expect(heir.round(1, () => reply())).rejects.toBeInstanceOf(BudgetReservedError);
    gone.die();
    expect(await heir.round(1, () => reply())).toMatchObject({ status: 'finished' });
    expect((await stories.usage(gone)).map(({ purpose }) => purpose)).toEqual(['unknown']);
  });

  it('of a run that ends is settled as it forgets', async () => {
    const told = await withBudget(15_000);
    await told.crashIn(1);
    await told.forget();
    expect(await reservedOf(told)).toEqual([]);
    expect((await stories.usage(told)).map(({ purpose }) => purpose)).toEqual(['unknown']);
  });

  it('of a run that is gone, and its mission with another run, is settled by the sweep', async () => {
    const [gone, open] = [await withBudget(15_000), await withBudget(15_000)];
    for (const told of [gone, open]) {
      await told.crashIn(1);
      await query(
        harness.databases.superuser.syncUrl,
        `update mana_ai.budget_reservations set reserved_at = now() - interval '11 minutes' where run_id = $1`,
        [told.run.runId],
      );
      await query(
        harness.databases.superuser.syncUrl,
        'update mana_ai.run_slots set run_id = $2 where run_id = $1',
        [told.run.runId, randomUUID()],
      );
    }
    gone.die();
    await sweepRuns(harness.runner, (_run, error) => {
      throw error;
    });
    expect(await reservedOf(gone)).toEqual([]);
    expect(await reservedOf(open)).toHaveLength(1);
  });
});

describe('a mission without an agent', () => {
  /** What the operator gives a user's missions without an agent together. */
  const limitTo = (defaultTokensPerDay: number) => ({ defaultTokensPerDay });

  it.each<[string, () => Promise<Story>]>([
    ['none', () => stories.writeWithoutAgent()],
    ['one that nobody knows', () => stories.writeWithoutAgent({ agentId: randomUUID() })],
    [
      'another user’s',
      async () => {
        const owner = await withBudget(null);
        return stories.writeWithoutAgent({ agentId: owner.loaded.agentId });
      },
    ],
    [
      'one that was deleted',
      async () => {
        const told = await stories.writeWithoutAgent();
        const agentId = randomUUID();
        await harness.webApp.insert(told.user, agentAt(agentId), { ...STORY_AGENT, maxTokensPerDay: null });
        await harness.webApp.insertRow(told.user.userId, { ...agentAt(agentId), op: 'delete', data: {} });
        return stories.writeWithoutAgent({ agentId, user: told.user });
      },
    ],
  ])('(%s) has the user’s own budget of the day', async (_, write) => {
    const told = await write();
    expect(told.loaded).toMatchObject({ agentId: null, budgetExhausted: false });
    let during: unknown[] = [];
    await told.round(1, async () => {
      during = await reservedOf(told);
      return planning('x', PLANNER_SETTINGS.defaultTokensPerDay);
    });
    expect(during).toHaveLength(1);
    expect(await told.round(2, () => reply())).toMatchObject({ status: 'budget-exhausted', steps: 1 });
    const { user } = told;
    for (const agentId of [null, randomUUID()])
      expect((await stories.writeWithoutAgent({ user, agentId })).loaded.budgetExhausted).toBe(true);
    expect((await stories.writeWithoutAgent()).loaded.budgetExhausted).toBe(false);
  });

  it('shares no budget with one that has an agent, and an agent without a limit has none', async () => {
    const told = await withBudget(1_000);
    const { user } = told;
    await (await stories.writeWithoutAgent({ user })).round(1, () => costing(400_000));
    expect((await stories.writeAnother(told)).loaded.budgetExhausted).toBe(false);
    const unlimited = await withBudget(null);
    await unlimited.round(1, () => planning('x', 10_000_000));
    expect(await unlimited.round(2, () => reply())).toMatchObject({ status: 'finished' });
  });

  it('counts lost replies there', async () => {
    const told = await stories.writeWithoutAgent();
    const before = await unknownTokensCounted();
    await told.crashIn(1);
    const [{ estimated = 0 } = {}] = await reservedOf(told);
    await told.round(1, () => planning('x', 500));
    expect(Number(estimated)).toBeGreaterThan(1_000);
    expect(await stories.usage(told)).toEqual([
      { round: 1, purpose: 'plan', tokens: 500 },
      { round: 1, purpose: 'unknown', tokens: estimated },
    ]);
    expect((await told.entries())[0]?.notices).toContainEqual({
      kind: 'unknown-spend',
      estimatedTokens: estimated,
    });
    expect((await unknownTokensCounted()) - before).toBe(Number(estimated));
    await expect(told.round(2, failing(unavailable({ status: 504 })))).rejects.toThrow();
    expect(await stories.usage(told)).toContainEqual({
      ...{ round: 2, purpose: 'unknown' },
      tokens: expect.toSatisfy((tokens: number) => tokens > 1_000) as unknown,
    });
    const limit = limitTo(Number(estimated));
    expect(await told.round(2, () => reply(), limit)).toMatchObject({ status: 'budget-exhausted' });
  });

  it('waits while another one of the user holds the rest, and not for a run that is gone', async () => {
    const holder = await stories.writeWithoutAgent();
    const other = await stories.writeWithoutAgent({ user: holder.user });
    await holder.round(
      1,
      async () => {
        await expect(other.round(1, () => reply(), limitTo(15_000))).rejects.toBeInstanceOf(
          BudgetReservedError,
        );
        return planning('x', 100);
      },
      limitTo(15_000),
    );
    const gone = await stories.writeWithoutAgent();
    const heir = await stories.writeWithoutAgent({ user: gone.user });
    await gone.crashIn(1, limitTo(15_000));
    await expect(heir.round(1, () => reply(), limitTo(15_000))).rejects.toBeInstanceOf(BudgetReservedError);
    gone.die();
    expect(await heir.round(1, () => reply(), limitTo(15_000))).toMatchObject({ status: 'finished' });
  });

  it('does not run with a default of 0, and its user reads what to do', async () => {
    const told = await stories.writeWithoutAgent();
    expect(await told.round(1, () => reply(), limitTo(0))).toMatchObject({ status: 'budget-exhausted' });
    expect(told.requests).toEqual([]);
    const deps = { ...harness.runner, planner: { ...PLANNER_SETTINGS, defaultTokensPerDay: 0 } };
    await writeIteration(deps, {
      ...told.run,
      ...{ startedAtMs: Date.now(), grantUsable: false },
      result: { kind: 'failed', failure: { code: 'budget-exhausted', phase: 'resolving-inputs' } },
    });
    const mission = await harness.webApp.read(told.user, missionAt(told.run.missionId));
    expect(mission?.record['iterations']).toMatchObject([
      { overallStatus: 'failed', summary: expect.stringContaining('hat keinen Agenten') as unknown },
    ]);
  });
});

describe('a budget', () => {
  it('of 0, or one that is used up, ends the run before anything is opened', async () => {
    expect((await withBudget(0)).loaded).toMatchObject({ budgetExhausted: true });
    const told = await withBudget(500);
    expect(told.loaded).toMatchObject({ budgetExhausted: false, maxRounds: 5 });
    await told.round(1, () => costing(500));
    expect((await stories.writeAnother(told)).loaded).toMatchObject({ budgetExhausted: true });
  });

  it('that ends between two rounds ends the plan with what it holds, and says why', async () => {
    const told = await withBudget(1_000);
    await told.round(1, () => planning('x', 1_000));
    const stopped = { status: 'budget-exhausted', steps: 1, totalTokens: 0 };
    expect(await told.round(2, () => reply())).toEqual(stopped);
    expect(told.requests).toHaveLength(1);
    const [, closing] = await told.entries();
    const notices = [{ kind: 'budget', usedTokens: 1_000, maxTokens: 1_000 }];
    expect(closing).toMatchObject({ finished: true, steps: [], notices });
    expect(await told.round(2, () => reply())).toMatchObject({ status: 'finished', steps: 1 });
  });

  it('that ends before the first round leaves nothing behind', async () => {
    const told = await withBudget(1_000);
    await (await stories.writeAnother(told)).round(1, () => costing(1_000));
    expect(await told.round(1, () => reply())).toMatchObject({ status: 'budget-exhausted', steps: 0 });
    expect(await told.entries()).toEqual([]);
  });

  it('that comes to its end is mentioned to model and user, once in a run', async () => {
    const told = await withBudget(10_000);
    await (await stories.writeAnother(told)).round(1, () => costing(7_500));
    for (const round of [1, 2]) await told.round(round, () => planning(`${round}`, 10));
    const [first, second] = await told.entries();
    expect(first?.notices).toEqual([{ kind: 'budget', usedTokens: 7_500, maxTokens: 10_000 }]);
    expect(second?.notices).toEqual([]);
  });

  it('of 24 hours forgets what was spent before', async () => {
    const told = await withBudget(1_000);
    await told.round(1, () => planning('x', 1_000));
    await query(
      harness.databases.superuser.syncUrl,
      `update mana_ai.token_usage set recorded_at = now() - interval '24 hours 1 second' where user_id = $1`,
      [told.user.userId],
    );
    expect(await told.round(2, () => reply())).toMatchObject({ status: 'finished' });
  });
});

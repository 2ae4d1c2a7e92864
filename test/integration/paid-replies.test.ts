import { setTimeout as delay } from 'node:timers/promises';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toApplicationFailure } from '#activities/failures.ts';
import { createRunnerActivities } from '#activities/runner/activities.ts';
import { compactTranscript } from '#activities/runner/round/compact.ts';
import { keepRound } from '#activities/runner/round/keep.ts';
import { planOneRound } from '#activities/runner/round/one-round.ts';
import { prepareRound, type AskedRound } from '#activities/runner/round/prepare.ts';
import { ensureRunKey } from '#activities/runner/run-keys.ts';
import { endFailedCall } from '#activities/runner/token-budget.ts';
import { readRounds } from '#activities/runner/transcript.ts';
import { writeIteration } from '#activities/runner/write-iteration.ts';
import type { Database } from '#db/client.ts';
import { modelGateway, rawReplyOf, type ModelAnswer } from '#dev/scripted-model.ts';
import { withClient } from '#dev/platform-schema.ts';
import { missionAt } from '#dev/web-app.ts';
import { GatewayRejectedError, GatewayUnavailableError, RunEndedError } from '#domain/base/errors.ts';
import type { IterationResult, PlanRoundInput, PlanRoundResult } from '#domain/run/run.ts';
import { limitGateway } from '#llm/gateway-limit.ts';
import type { Gateway } from '#llm/gateway.ts';
import { createActivityHarness, newRun, type ActivityHarness } from '#test/support/activity-dependencies.ts';
import { query } from '#test/support/inspect.ts';
import {
  call,
  createTask,
  reply,
  STORY_AGENT,
  storiesOf,
  type Stories,
  type Story,
} from '#test/support/round-stories.ts';
import { waitUntil } from '#test/support/wait-until.ts';

const APPLICATION = 'paid-replies-test';
/** Whose calls reserve what they may cost. */
const BUDGET = { ...STORY_AGENT, maxTokensPerDay: 1_000_000 };
const POLICY = { policy: { ...STORY_AGENT.policy, tools: { create_task: 'propose' } } };

let harness: ActivityHarness;
let stories: Stories;
beforeAll(async () => {
  harness = await createActivityHarness(APPLICATION);
  stories = storiesOf(harness);
});
afterAll(() => harness.close());

const asSuperuser = (sql: string, values: readonly unknown[] = []) =>
  query(harness.databases.superuser.syncUrl, sql, values);

interface Sent {
  readonly bodyText: string;
  readonly idempotencyKey: string;
}

/** A gateway that counts what it is asked. */
function counting(answer: () => ModelAnswer | Promise<ModelAnswer>): { gateway: Gateway; sent: Sent[] } {
  const sent: Sent[] = [];
  const gateway = modelGateway(({ bodyText }, { idempotencyKey }) => {
    sent.push({ bodyText, idempotencyKey });
    return answer();
  });
  return { gateway, sent };
}

/** What may be asked of the model, on a run that is ready for it. */
interface Kind {
  readonly name: string;
  readonly write: () => Promise<Story>;
  readonly answer: () => ModelAnswer;
  readonly work: (
    told: Story,
    deps: Partial<ActivityHarness['runner']>,
    signal: AbortSignal,
  ) => Promise<unknown>;
  /** Of a repetition that finds everything done. */
  readonly result: Readonly<Record<string, unknown>>;
}
const KINDS: readonly Kind[] = [
  {
    name: 'a round',
    write: () => stories.write({}, POLICY),
    answer: () => reply({ toolCalls: [createTask('Zelt packen')] }),
    work: ({ run, loaded }, deps, signal) =>
      planOneRound(
        { ...harness.runner, ...deps },
        { ...run, round: 1, agentId: loaded.agentId, grantUsable: false },
        signal,
      ),
    result: { status: 'continue', steps: 1 },
  },
  {
    name: 'a compaction',
    write: async () => {
      const told = await stories.write({ t1: { title: 'Zelt', isCompleted: false } }, POLICY);
      await told.round(1, () => reply({ toolCalls: [call('list_tasks', {}), createTask('Zelt packen')] }));
      return told;
    },
    answer: () => reply({ content: 'Zusammenfassung' }),
    work: ({ run, loaded }, deps, signal) =>
      compactTranscript(
        { ...harness.runner, ...deps },
        { ...run, round: 1, agentId: loaded.agentId, grantUsable: false },
        signal,
      ),
    result: { compacted: true },
  },
];

const NEVER = new AbortController().signal;
const NO_ANSWER = { kind: null, status: null, retryAfterMs: null };
const HICCUP = new GatewayRejectedError({ kind: null, status: 400, retryAfterMs: null }, true);

/** A database whose transaction of that number, from 1, fails as if its connection broke. */
function breaking(number: number, when: 'before' | 'after its commit', times = 1): Database {
  let transactions = 0;
  const { database } = harness.runner;
  return {
    ...database,
    asUser: async (userId, work) => {
      transactions += 1;
      const breaks = transactions >= number && transactions < number + times;
      if (breaks && when === 'before') throw new Error('the connection broke');
      const result = await database.asUser(userId, work);
      if (breaks) throw new Error('the connection broke');
      return result;
    },
  };
}

const PREPARE = 1;
const STORE_REPLY = 2;
const DERIVE = 3;

describe.each(KINDS)('$name', ({ write, answer, work, result }) => {
  /** What a killed process leaves behind, and then another process. */
  async function afterCrash(crash: (told: Story, gateway: Gateway) => Promise<unknown>): Promise<Sent[]> {
    const told = await write();
    const { gateway, sent } = counting(answer);
    await crash(told, gateway);
    expect(await work(told, { gateway }, NEVER)).toMatchObject(result);
    // Everything is there: a further attempt asks nothing either.
    const { length } = sent;
    expect(await work(told, { gateway }, NEVER)).toMatchObject(
      'status' in result ? result : { compacted: true },
    );
    expect(sent).toHaveLength(length);
    return sent;
  }
  const failing = (told: Story, deps: Partial<ActivityHarness['runner']>, signal = NEVER) =>
    expect(work(told, deps, signal)).rejects.toThrow('broke');

  it('killed before the call, with its request kept, is called once', async () => {
    const sent = await afterCrash((told, gateway) =>
      failing(told, { gateway, database: breaking(PREPARE, 'after its commit') }),
    );
    expect(sent).toHaveLength(1);
  });

  it('killed during the call sends the same bytes under the same key', async () => {
    const sent = await afterCrash(async (told, gateway) => {
      const hanging: Gateway = {
        complete: async (...request) => {
          await gateway.complete(...request);
          return new Promise(() => undefined);
        },
      };
      const asked = work(told, { gateway: hanging }, NEVER);
      // Nobody waits for it any more.
      await Promise.race([asked, delay(400)]);
    });
    expect(sent).toHaveLength(2);
    expect(sent[1]).toEqual(sent[0]);
  });

  it('killed with the reply in hand sends the same bytes under the same key', async () => {
    const sent = await afterCrash((told, gateway) => {
      // Aborted, it does not try again to store.
      const killed = new AbortController();
      const receiving: Gateway = {
        complete: async (...request) => {
          const raw = await gateway.complete(...request);
          killed.abort();
          return raw;
        },
      };
      return failing(told, { gateway: receiving, database: breaking(STORE_REPLY, 'before') }, killed.signal);
    });
    expect(sent).toHaveLength(2);
    expect(sent[1]).toEqual(sent[0]);
  });

  it.each(['before', 'after its commit'] as const)(
    'whose connection breaks %s when the reply is stored, several times, loses nothing',
    async (when) => {
      const told = await write();
      const { gateway, sent } = counting(answer);
      const database = breaking(STORE_REPLY, when, 4);
      expect(await work(told, { gateway, database }, NEVER)).toMatchObject(result);
      expect(sent).toHaveLength(1);
    },
  );

  it.each(['before', 'after its commit'] as const)(
    'killed %s of what is made of the reply is not called again',
    async (when) => {
      const sent = await afterCrash((told, gateway) =>
        failing(told, { gateway, database: breaking(DERIVE, when) }),
      );
      expect(sent).toHaveLength(1);
    },
  );

  it('whose figures the database refuses is not called again, however often', async () => {
    const told = await write();
    const { gateway, sent } = counting(answer);
    const name = `refuses_${told.run.missionId.replaceAll('-', '')}`;
    await asSuperuser(
      `alter table mana_ai.token_usage add constraint ${name}
         check (mission_id <> '${told.run.missionId}' or recorded_at < now() - interval '1 hour') not valid`,
    );
    for (let attempt = 0; attempt < 20; attempt += 1)
      await expect(work(told, { gateway }, NEVER)).rejects.toMatchObject({ code: '23514' });
    await asSuperuser(`alter table mana_ai.token_usage drop constraint ${name}`);
    expect(await work(told, { gateway }, NEVER)).toMatchObject(result);
    expect(sent).toHaveLength(1);
  });

  it('whose storing the server ends while the reply is stored loses nothing', async () => {
    const told = await write();
    const { gateway, sent } = counting(answer);
    const lock = await held(`select 1 from mana_ai.model_calls where mission_id = $1 for update`);
    const kept: Gateway = {
      complete: async (...request) => {
        const raw = await gateway.complete(...request);
        await lock.take(told.run.missionId);
        return raw;
      },
    };
    const working = work(told, { gateway: kept }, NEVER);
    await waitUntil('the reply waits to be stored', async () => {
      const waiting = await asSuperuser(
        `select pg_cancel_backend(pid) from pg_stat_activity
          where application_name = $1 and wait_event_type = 'Lock' and query like '%reply%'`,
        [APPLICATION],
      );
      return waiting.length > 0 || undefined;
    });
    await lock.release();
    expect(await working).toMatchObject(result);
    expect(sent).toHaveLength(1);
  });

  it('in whose reply nothing can be read is called once more, as another request, and its cost is kept', async () => {
    const told = await write();
    const nothing = { bodyText: '{"choices":[],"usage":{"total_tokens":5}}', resolvedModel: null };
    const replies: ModelAnswer[] = [nothing, answer()];
    const { gateway, sent } = counting(() => replies.shift() ?? answer());
    await expect(work(told, { gateway }, NEVER)).rejects.toMatchObject({
      ...{ code: 'GATEWAY_UNAVAILABLE', counted: { failures: 1, refusals: 0, unreadable: 1 } },
    });
    expect(await work(told, { gateway }, NEVER)).toMatchObject(result);
    expect(sent).toHaveLength(2);
    expect(sent[1]?.bodyText).toBe(sent[0]?.bodyText);
    expect(sent[1]?.idempotencyKey).not.toBe(sent[0]?.idempotencyKey);
  });

  it('is counted among the failures of the gateway, not killed workers', async () => {
    const told = await write();
    const down = new GatewayUnavailableError({ kind: null, status: 503, retryAfterMs: null });
    const fails = { gateway: modelGateway(() => Promise.reject(down)) };
    await failing(told, { database: breaking(PREPARE, 'after its commit') });
    for (const failures of [1, 2])
      await expect(work(told, fails, NEVER)).rejects.toMatchObject({ counted: { failures } });
  });

  it('that is refused by a hiccup has its one more try, whatever failed before: a killed worker, 503, a reset', async () => {
    const told = await write();
    await failing(told, { database: breaking(PREPARE, 'after its commit') });
    for (const [error, isLast] of [
      [new GatewayUnavailableError({ kind: null, status: 503, retryAfterMs: null }), false],
      [new GatewayUnavailableError({ kind: null, status: null, retryAfterMs: null }), false],
      [HICCUP, false],
      [new GatewayUnavailableError({ kind: null, status: 503, retryAfterMs: null }), false],
      [HICCUP, true],
    ] as const) {
      const gateway = modelGateway(() => Promise.reject(error));
      const failed: unknown = await work(told, { gateway }, NEVER).catch((thrown: unknown) => thrown);
      expect(toApplicationFailure(failed, 7, () => undefined).nonRetryable).toBe(isLast);
    }
  });
});

it('a request that was made smaller has its one more try for a hiccup as well', async () => {
  const told = await stories.write({}, POLICY);
  const problem = { kind: null, status: 400, retryAfterMs: null, overflow: true as const };
  const answers: Error[] = [new GatewayRejectedError(problem), HICCUP, HICCUP];
  const gateway = modelGateway(() => Promise.reject(answers.shift() ?? new Error('asked too often')));
  const input = { ...told.run, round: 1, agentId: told.loaded.agentId, grantUsable: false };
  const attempt = () =>
    planOneRound({ ...harness.runner, gateway }, input, NEVER).catch((error: unknown) => error);
  const ends = [await attempt(), await attempt()];
  expect(answers).toEqual([]);
  expect(ends.map((error) => toApplicationFailure(error, 7, () => undefined).nonRetryable)).toEqual([
    false,
    true,
  ]);
});

/** A lock that another connection holds. */
async function held(
  sql: string,
): Promise<{ take(missionId: string): Promise<void>; release(): Promise<void> }> {
  const { Client } = await import('pg');
  const client = new Client({ connectionString: harness.databases.superuser.syncUrl });
  await client.connect();
  return {
    take: async (missionId) => {
      await client.query('begin');
      await client.query(sql, [missionId]);
    },
    release: async () => {
      await client.query('commit');
      await client.end();
    },
  };
}

describe('odd replies', () => {
  const usage = (value: string): string =>
    `{"prompt_tokens":${value},"completion_tokens":${value},"total_tokens":${value}}`;
  const bodyWith = (more: { content?: string; usage?: string; args?: string; name?: string }): string =>
    `{"choices":[{"finish_reason":"tool_calls","message":{"content":${more.content ?? 'null'},"tool_calls":[
      {"id":"c","function":{"name":${more.name ?? '"create_task"'},"arguments":${more.args ?? '"{\\"title\\":\\"x\\"}"'}}}]}}],
      "usage":${more.usage ?? usage('12')}}`;

  it.each<[string, string]>([
    ['usage above 2^31', bodyWith({ usage: usage('2147483653') })],
    ['usage above 2^53', bodyWith({ usage: usage('9007199254740999') })],
    ['usage above 2^63', bodyWith({ usage: usage('9223372036854775808') })],
    ['usage of 1e300', bodyWith({ usage: usage('1e300') })],
    ['usage of 1e999', bodyWith({ usage: usage('1e999') })],
    ['negative usage', bodyWith({ usage: usage('-5') })],
    ['half a token', bodyWith({ usage: usage('0.5') })],
    ['usage as texts', bodyWith({ usage: usage('"many"') })],
    ['usage as null', bodyWith({ usage: 'null' })],
    ['NUL in its words', bodyWith({ content: '"a\\u0000b"' })],
    ['lone surrogates in its words', bodyWith({ content: '"a\\ud800b"' })],
    ['NUL in a name', bodyWith({ name: '"create\\u0000_task"' })],
    ['NUL in arguments', bodyWith({ args: '"{\\"title\\":\\"a\\\\u0000b\\"}"' })],
    ['a lone surrogate in arguments', bodyWith({ args: '{"title":"a\\udfffb"}' })],
    ['arguments nested deeply', bodyWith({ args: `${'['.repeat(100_000)}${']'.repeat(100_000)}` })],
    ['an object nested deeply', bodyWith({ args: `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}` })],
    ['a prototype in its arguments', bodyWith({ args: '{"__proto__":{"title":"x"},"title":"x"}' })],
    ['a name of a megabyte', bodyWith({ name: `"${'x'.repeat(1_000_000)}"` })],
  ])('%s: asked once, and written', async (_, bodyText) => {
    const told = await stories.write({}, { ...POLICY, maxTokensPerDay: 1_000_000 });
    const { run, loaded } = told;
    const answers: ModelAnswer[] = [{ bodyText, resolvedModel: 'a\u0000b/\ud800' }];
    const { gateway, sent } = counting(() => answers.shift() ?? reply({ content: 'Fertig.' }));
    const input = { ...run, round: 1, agentId: loaded.agentId, grantUsable: false };
    const deps = { ...harness.runner, gateway };
    await planOneRound(deps, input, NEVER);
    await planOneRound(deps, { ...input, round: 2 }, NEVER);
    const written = {
      ...run,
      startedAtMs: Date.now(),
      grantUsable: false,
      result: { kind: 'planned' } as const,
    };
    expect((await writeIteration(deps, written)).outcome).not.toBe('mission-gone');
    expect(sent.length).toBeLessThanOrEqual(2);
    const rows = await asSuperuser(
      `select 1 from mana_ai.token_usage where iteration_id = $1 and (total_tokens < 0 or prompt_tokens < 0)`,
      [run.iterationId],
    );
    expect(rows).toEqual([]);
  });
});

describe('an attempt that ends its call waits for another one, which has the call, without holding what that one takes next', () => {
  it.each<
    [string, (deps: ActivityHarness['runner'], input: PlanRoundInput, asked: AskedRound) => Promise<unknown>]
  >([
    ['with a reply', (deps, input, asked) => keepRound(deps, input, asked, rawReplyOf(reply()))],
    [
      'with one that nobody can read',
      (deps, input, asked) => keepRound(deps, input, asked, { bodyText: '{}', resolvedModel: null }),
    ],
    [
      'with none',
      (deps, { userId }, { call: asked }) =>
        endFailedCall(deps, userId, asked, new GatewayUnavailableError(NO_ANSWER), false),
    ],
  ])('%s', async (_name, end) => {
    const told = await stories.write({}, BUDGET);
    const input = { ...told.run, round: 1, agentId: told.loaded.agentId, grantUsable: false };
    const prepared = await prepareRound(harness.runner, input);
    if (prepared.kind !== 'ask') throw new Error(`found ${prepared.kind}, expected a round to ask`);
    const url = harness.databases.superuser.syncUrl;
    await withClient(url, async (other) => {
      await other.query('begin');
      const inHand = (table: string) =>
        other.query(`select from ${table} where iteration_id = $1 for update nowait`, [told.run.iterationId]);
      await inHand('mana_ai.model_calls');
      const ending = end(harness.runner, input, prepared).catch((error: unknown) => error);
      await waitUntil('it waits for the call', async () => {
        const waiting = await asSuperuser(
          `select from pg_stat_activity where application_name = $1 and wait_event_type = 'Lock'`,
          [APPLICATION],
        );
        return waiting.length > 0;
      });
      expect((await inHand('mana_ai.budget_reservations')).rowCount).toBe(1);
      await other.query('commit');
      await ending;
    });
    expect(
      await asSuperuser('select from mana_ai.budget_reservations where iteration_id = $1', [
        told.run.iterationId,
      ]),
    ).toEqual([]);
  });
});

describe('a call that waits for its place at the gateway', () => {
  const waiting = async () => {
    const told = await stories.write({}, BUDGET);
    const input = { ...told.run, round: 1, agentId: told.loaded.agentId, grantUsable: false };
    const place = Promise.withResolvers<undefined>();
    const { gateway, sent } = counting(() => reply({ toolCalls: [createTask('eins')] }));
    const behind = limitGateway(
      {
        complete: async (bodyText, options) => {
          if (bodyText === 'busy') await place.promise;
          return gateway.complete(bodyText === 'busy' ? '{}' : bodyText, options);
        },
      },
      { mostInFlight: 1 },
    );
    const busy = behind.complete('busy', { signal: NEVER, idempotencyKey: 'busy' });
    const waits = planOneRound({ ...harness.runner, gateway: behind, looksAgainAfterMs: 0 }, input, NEVER);
    await waitUntil('it is prepared', async () => {
      const rows = await asSuperuser('select from mana_ai.budget_reservations where iteration_id = $1', [
        told.run.iterationId,
      ]);
      return rows.length === 1;
    });
    const leave = async (): Promise<PlanRoundResult> => {
      place.resolve(undefined);
      await busy;
      return waits;
    };
    return { told, input, gateway, sent, leave };
  };

  it('is not made where another attempt has kept a reply meanwhile: that one’s is its own', async () => {
    const { input, gateway, sent, leave } = await waiting();
    const faster = await planOneRound({ ...harness.runner, gateway }, input, NEVER);
    expect(await leave()).toEqual(faster);
    expect(sent.filter(({ idempotencyKey }) => idempotencyKey !== 'busy')).toHaveLength(1);
  });

  it('is not made where the run has ended meanwhile', async () => {
    const { told, sent, leave } = await waiting();
    await told.forget();
    await expect(leave()).rejects.toBeInstanceOf(RunEndedError);
    expect(sent.map(({ idempotencyKey }) => idempotencyKey)).toEqual(['busy']);
  });
});

describe('the key of a run', () => {
  it('is the same for two attempts at once, 300 times', async () => {
    const user = await harness.webApp.createUser();
    const keyOf = async (run: ReturnType<typeof newRun>): Promise<string> =>
      (
        await harness.runner.database.asUser(user.userId, (tx) => ensureRunKey(harness.runner, tx, run))
      ).toString('hex');
    let different = 0;
    for (let pair = 0; pair < 300; pair += 1) {
      const run = newRun(user, 'mission');
      const [one, other] = await Promise.all([keyOf(run), keyOf(run)]);
      if (one !== other || one !== (await keyOf(run))) different += 1;
    }
    expect(different).toBe(0);
  });

  it('that unwraps no more is replaced by the same one for two attempts at once, while it has encrypted nothing', async () => {
    const user = await harness.webApp.createUser();
    const codecKeys = { primaryKeyId: 'k2', keys: new Map([['k2', Buffer.alloc(32, 2)]]) };
    const other = { ...harness.runner, codecKeys };
    const keyOf = (deps: typeof harness.runner, run: ReturnType<typeof newRun>) =>
      harness.runner.database.asUser(user.userId, (tx) => ensureRunKey(deps, tx, run));
    for (let pair = 0; pair < 50; pair += 1) {
      const run = newRun(user, 'mission');
      await keyOf(harness.runner, run);
      const [one, two] = await Promise.all([keyOf(other, run), keyOf(other, run)]);
      expect(one).toEqual(two);
      expect(await keyOf(other, run)).toEqual(one);
    }
  });

  it('that does not open a round leaves it in its place', async () => {
    const told = await stories.write({}, POLICY);
    await told.round(1, () => reply({ toolCalls: [createTask('eins')] }));
    const { userId } = told.user;
    const wrong = Buffer.alloc(32, 9);
    const read = await harness.runner.database.asUser(userId, (tx) =>
      readRounds({ tx, run: told.run, key: wrong }),
    );
    expect(read).toEqual([]);
    expect(await told.entries()).toHaveLength(1);
  });
});

describe('a run that began before calls were kept', () => {
  it('finds its rounds where they were', async () => {
    const told = await stories.write({}, POLICY);
    await told.round(1, () => reply({ toolCalls: [createTask('eins')] }));
    await asSuperuser(
      `with moved as (delete from mana_ai.model_calls where iteration_id = $1 returning *)
       insert into mana_ai.run_transcripts (user_id, iteration_id, round, mission_id, entry)
       select user_id, iteration_id, round, mission_id, entry from moved`,
      [told.run.iterationId],
    );
    const { gateway, sent } = counting(() => reply({ content: 'Fertig.' }));
    const input = { ...told.run, agentId: told.loaded.agentId, grantUsable: false };
    const deps = { ...harness.runner, gateway };
    expect(await planOneRound(deps, { ...input, round: 1 }, NEVER)).toMatchObject({ steps: 1 });
    expect(await planOneRound(deps, { ...input, round: 2 }, NEVER)).toMatchObject({
      status: 'finished',
      steps: 1,
    });
    expect(sent).toHaveLength(1);
  });
});

it('the raw reply of a call is ciphertext, and gone with the run', async () => {
  const told = await stories.write({}, POLICY);
  await told.round(1, () => rawReplyOf(reply({ content: 'NUR-VERSCHLUESSELT' })));
  const rows = () =>
    asSuperuser(
      `select encode(request || reply || entry, 'escape') as text from mana_ai.model_calls where iteration_id = $1`,
      [told.run.iterationId],
    );
  const [row] = await rows();
  expect(String(row?.['text']).length).toBeGreaterThan(1_000);
  expect(String(row?.['text'])).not.toMatch(/VERSCHLUESSELT|Wochenplan/);
  await told.forget();
  expect(await rows()).toEqual([]);
});

describe('an agent with one place', () => {
  const ONE = { ...POLICY, maxConcurrentMissions: 1 };
  const activitiesOf = (deps: Partial<ActivityHarness['runner']>) =>
    createRunnerActivities({ ...harness.runner, ...deps });
  const withActivities = <T>(work: () => Promise<T>): Promise<T> =>
    new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR', () => undefined) }).run(work);

  it('is free for another mission while the gateway is down, and taken again before the next round', async () => {
    const told = await stories.write({}, ONE);
    const { agentId } = told.loaded;
    const input = { ...told.run, round: 1, agentId, grantUsable: false };
    const plan = (gateway: Gateway) => withActivities(() => activitiesOf({ gateway }).planRound(input));
    const down = modelGateway(() =>
      Promise.reject(new GatewayUnavailableError({ kind: null, status: 503, retryAfterMs: null })),
    );
    await expect(plan(down)).rejects.toMatchObject({ type: 'GATEWAY_UNAVAILABLE' });
    const other = await stories.writeAnother(told);
    const { gateway, sent } = counting(() => reply({ content: 'Fertig.' }));
    // The other one holds the place now.
    await expect(plan(gateway)).rejects.toMatchObject({ type: 'SLOT_BUSY', nonRetryable: false });
    expect(sent).toEqual([]);
    await other.forget();
    expect(await plan(gateway)).toMatchObject({ status: 'finished' });
    await expect(stories.writeAnother(told)).rejects.toMatchObject({ code: 'SLOT_BUSY' });
  });

  it('is free while records wait to be sealed, and is whose who asks the model', async () => {
    const told = await stories.write({}, ONE);
    const input = { ...told.run, round: 1, agentId: told.loaded.agentId, grantUsable: false };
    const waitsLong = ({ run }: Story) =>
      asSuperuser(
        `update mana_ai.run_slots set claimed_at = claimed_at - interval '1 minute' where run_id = $1`,
        [run.runId],
      );
    const { gateway } = counting(() => reply({ toolCalls: [createTask('Zelt packen')] }));
    const plan = () => withActivities(() => activitiesOf({ gateway }).planRound(input));
    await expect(stories.writeAnother(told)).rejects.toMatchObject({ code: 'SLOT_BUSY' });
    await waitsLong(told);
    const other = await stories.writeAnother(told);
    await expect(plan()).rejects.toMatchObject({ type: 'SLOT_BUSY' });
    await waitsLong(other);
    expect(await plan()).toMatchObject({ status: 'continue' });
    // Between its rounds as well, however long ago it began.
    await expect(other.round(1, () => reply())).rejects.toMatchObject({ code: 'SLOT_BUSY' });
  });

  it('is free while a deep task is under way', async () => {
    const told = await stories.write({}, ONE);
    const { agentId } = told.loaded;
    const deep = {
      submit: () => Promise.resolve({ kind: 'submitted' as const, taskId: 'task-1' }),
      state: () => Promise.resolve({ kind: 'pending' as const }),
    };
    const input = { ...told.run, kind: 'deep' as const, agentId, grantUsable: false };
    const submitted = await withActivities(() =>
      activitiesOf({ research: { shallow: null, deep } }).submitResearch(input),
    );
    expect(submitted).toEqual({ state: 'submitted' });
    expect((await stories.writeAnother(told)).loaded.outcome).toBe('ready');
  });
});

describe('a later round that failed leaves the steps of the earlier ones', () => {
  const failure = { code: 'worker-lost', phase: 'calling-llm' } as const;
  const writtenOf = async (told: Story, result: IterationResult) => {
    const write = { ...told.run, startedAtMs: Date.now(), grantUsable: false, result };
    const written = await writeIteration(harness.runner, write);
    const read = await harness.webApp.read(told.user, missionAt(told.run.missionId));
    return { written, iterations: read?.record['iterations'] };
  };
  const planOf = (summary: unknown) => ({
    written: { outcome: 'planned', steps: 1, failureCode: null },
    iterations: [
      { overallStatus: 'awaiting-review', plan: [{ intent: { params: { title: 'eins' } } }], summary },
    ],
  });

  // The workflow learns of rounds from their activity's result, and one that never returned told it of none.
  it.each<IterationResult>([
    { kind: 'planned', cutShort: failure },
    { kind: 'failed', failure },
  ])('and the summary says so, whether the run knew of them or not ($kind)', async (result) => {
    const told = await stories.write({}, { ...POLICY, maxTokensPerDay: 500_000 });
    await told.round(1, () => reply({ toolCalls: [createTask('eins')] }));
    // Whoever asked the second round died: nobody knows what it cost.
    await told.crashIn(2);
    await told.crashIn(2);
    const summary = expect.stringMatching(/unvollständig.*nicht zustande.*geschätzt/s) as unknown;
    expect(await writtenOf(told, result)).toMatchObject(planOf(summary));
  });

  it('and the summary counts a call that was under way when its run gave up', async () => {
    const told = await stories.write({}, { ...POLICY, maxTokensPerDay: 500_000 });
    await told.round(1, () => reply({ toolCalls: [createTask('eins')] }));
    // One crash alone: no later attempt has counted what it reserved.
    await told.crashIn(2);
    const summary = expect.stringMatching(/nicht zustande.*geschätzt/s) as unknown;
    expect(await writtenOf(told, { kind: 'planned', cutShort: failure })).toMatchObject(planOf(summary));
    expect(await stories.usage(told)).toMatchObject([{ purpose: 'plan' }, { round: 2, purpose: 'unknown' }]);
  });

  it('but takes nothing from a plan that was whole', async () => {
    const told = await stories.write({}, POLICY);
    await told.round(1, () => reply({ toolCalls: [createTask('eins')] }));
    await told.round(2, () => reply({ content: 'Ein Schritt steht an.' }));
    expect(await writtenOf(told, { kind: 'failed', failure })).toMatchObject(planOf('Ein Schritt steht an.'));
  });

  it.each<[string, ReturnType<typeof reply>, Readonly<Record<string, unknown>>]>([
    ['nothing is needed', reply(), { outcome: 'empty-plan', failureCode: null, rounds: 1, totalTokens: 12 }],
    [
      'the provider held it back',
      reply({ finishReason: 'content_filter' }),
      { outcome: 'failed', failureCode: 'content-filtered' },
    ],
  ])('and nothing from a whole one without steps: %s', async (_, last, written) => {
    const told = await stories.write({}, POLICY);
    await told.round(1, () => last);
    expect(await writtenOf(told, { kind: 'failed', failure })).toMatchObject({ written });
  });

  it('nor from a verdict on the last reply, which was none twice', async () => {
    const told = await stories.write({}, POLICY);
    const refused = () => reply({ finishReason: 'refusal' });
    await told.round(1, refused);
    await told.round(2, refused);
    expect(await writtenOf(told, { kind: 'failed', failure })).toMatchObject({
      written: { outcome: 'failed', failureCode: 'model-refused' },
    });
  });

  it('and is the outcome where they planned nothing', async () => {
    const told = await stories.write({}, POLICY);
    await told.round(1, () => reply({ toolCalls: [{ ...createTask('x'), name: 'unknown_tool' }] }));
    expect(await writtenOf(told, { kind: 'failed', failure })).toMatchObject({
      written: { outcome: 'failed', steps: 0, failureCode: 'worker-lost' },
    });
  });
});

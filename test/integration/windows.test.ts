import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compactTranscript } from '#activities/runner/round/compact.ts';
import { planOneRound } from '#activities/runner/round/one-round.ts';
import { modelGateway, type SentRequest } from '#dev/scripted-model.ts';
import { GatewayRejectedError, WindowTooSmallError, type GatewayProblem } from '#domain/base/errors.ts';
import { createTokenCalibration } from '#domain/planner/model/token-calibration.ts';
import { sizeOf } from '#llm/request-size.ts';
import { createActivityHarness, type ActivityHarness } from '#test/support/activity-dependencies.ts';
import { query } from '#test/support/inspect.ts';
import {
  call,
  createTask,
  reply,
  STORY_AGENT,
  storiesOf,
  type Answer,
  type Stories,
  type Story,
} from '#test/support/round-stories.ts';

const POLICY = { policy: { ...STORY_AGENT.policy, tools: { create_task: 'propose' } } };
const LONG = 'Die Isomatten liegen bei Jonas, er bringt sie am Freitag mit. '.repeat(400);
const TASKS = Object.fromEntries(
  Array.from({ length: 8 }, (_, index) => [
    `t${index}`,
    { title: `Aufgabe ${index}`, isCompleted: false, description: LONG },
  ]),
);

let harness: ActivityHarness;
let stories: Stories;
beforeAll(async () => {
  harness = await createActivityHarness('windows-test');
  stories = storiesOf(harness);
});
afterAll(() => harness.close());

const refused = (more: Partial<GatewayProblem> = {}): GatewayRejectedError =>
  new GatewayRejectedError({ kind: null, status: 400, retryAfterMs: null, ...more });
const overflow = (): GatewayRejectedError => refused({ overflow: true });
/** Refuses so many times, then answers. */
function after(refusals: readonly Error[], answer: Answer): Answer {
  const left = [...refusals];
  return (request) => {
    const next = left.shift();
    if (next !== undefined) throw next;
    return answer(request);
  };
}
const tokensOf = ({ bodyText }: SentRequest): number => sizeOf(bodyText).tokens;
const bodyOf = ({ bodyText }: SentRequest) =>
  JSON.parse(bodyText) as { readonly tool_choice?: string; readonly max_tokens?: number };
const reservationsOf = ({ run }: Story) =>
  query(
    harness.databases.superuser.syncUrl,
    'select round from mana_ai.budget_reservations where run_id = $1',
    [run.runId],
  );

describe('a request that is larger than the model’s window', () => {
  const plan = (): ReturnType<Answer> => reply({ toolCalls: [createTask('Zelt packen')] });

  it('is asked once more at once, smaller; so are the rounds after it; nothing is paid twice', async () => {
    const told = await stories.write(TASKS, { ...POLICY, maxTokensPerDay: 1_000_000 });
    const window = { contextTokens: 16_000 };
    const first = await told.round(1, after([overflow()], plan), window);
    expect(first).toMatchObject({ status: 'continue', steps: 1 });
    await told.round(2, () => reply({ content: 'Fertig, mehr ist nicht nötig.' }), window);
    const [large, small, later] = told.requests.map(tokensOf);
    expect(large).toBeGreaterThan(8_000 - 2_000);
    expect(small).toBeLessThan(8_000 - 2_000);
    expect(later).toBeLessThan(8_000 - 2_000);
    const [atFirst, ...smaller] = told.requests.map((request) => bodyOf(request).max_tokens);
    expect(atFirst).toBe(4_000);
    expect(smaller[0]).toBeLessThan(2_000);
    expect(smaller[1]).toBe(smaller[0]);
    expect(await stories.usage(told)).toEqual([
      { round: 1, purpose: 'plan', tokens: 12 },
      { round: 2, purpose: 'plan', tokens: 12 },
    ]);
    expect(await reservationsOf(told)).toEqual([]);
  });

  it('is smaller by half whatever the setting says, and by half again in a round that is refused as well', async () => {
    const told = await stories.write(TASKS, POLICY);
    const window = { contextTokens: 1_000_000 };
    await told.round(1, after([overflow()], plan), window);
    await told.round(2, plan, window);
    await told.round(3, after([overflow()], plan), window);
    const whole = told.requests.map((request) => tokensOf(request) + (bodyOf(request).max_tokens ?? 0));
    const [large = 0, small = 0, later = 0, again = 0, least = 0] = whole;
    expect(large).toBeGreaterThan(15_000);
    for (const each of [small, later, again]) expect(each).toBeLessThanOrEqual(large / 2);
    expect(again).toBeGreaterThan(small);
    expect(least).toBeLessThan(again);
    const entries = await told.entries();
    const windows = entries.map(({ shrunkTo }) => Number(shrunkTo));
    expect(windows[1]).toBe(windows[0]);
    expect(windows[2]).toBeLessThanOrEqual((windows[0] ?? 0) / 2);
    // A refusal costs nothing, so none is kept.
    expect(entries.map(({ shrunk }) => shrunk)).toEqual([true, true, true]);
  });

  it('and is so again when it is smaller, says that the window is too small', async () => {
    const told = await stories.write(TASKS, { ...POLICY, maxTokensPerDay: 1_000_000 });
    await expect(told.round(1, after([overflow(), overflow()], plan))).rejects.toBeInstanceOf(
      WindowTooSmallError,
    );
    expect(told.requests).toHaveLength(2);
    expect(await reservationsOf(told)).toEqual([]);
    // A later attempt does not begin anew: it sends the smaller one, once.
    await expect(told.round(1, after([overflow()], plan))).rejects.toBeInstanceOf(WindowTooSmallError);
    expect(told.requests).toHaveLength(3);
    expect(told.requests[2]?.bodyText).toBe(told.requests[1]?.bodyText);
  });

  it('which a gateway may hide in a 500, is asked once more, smaller; a second refusal has a later try', async () => {
    const hidden = (): GatewayRejectedError =>
      new GatewayRejectedError({ kind: null, status: 500, retryAfterMs: null, mayOverflow: true }, true);
    const told = await stories.write(TASKS, POLICY);
    expect(await told.round(1, after([hidden()], plan))).toMatchObject({ status: 'continue', steps: 1 });
    const [large = 0, small = 0] = told.requests.map(tokensOf);
    expect(small).toBeLessThan(large / 2);
    const refusing = await stories.write(TASKS, POLICY);
    // It may have been a hiccup both times: what is asked at once has not used up the later try.
    for (const [refusals, times] of [
      [1, 2],
      [2, 1],
    ] as const) {
      await expect(
        refusing.round(1, after(Array.from({ length: times }, hidden), plan)),
      ).rejects.toMatchObject({ code: 'GATEWAY_REJECTED', worthOneMoreTry: true, counted: { refusals } });
    }
    expect(refusing.requests).toHaveLength(3);
  });

  it('is another matter than one that is refused for its content', async () => {
    const told = await stories.write({}, POLICY);
    const blocked = refused({ status: 422, kind: 'blocked' });
    await expect(told.round(1, after([blocked], plan))).rejects.toMatchObject({
      problem: blocked.problem,
    });
    expect(told.requests).toHaveLength(1);
  });
});

describe('the last round', () => {
  const cut = (): ReturnType<Answer> => reply({ content: 'Ich würde', finishReason: 'length' });

  it('is asked not to call any more; a gateway that does not know that is asked once more without', async () => {
    const told = await stories.write({}, POLICY);
    const rounds = { maxRounds: 2 };
    await told.round(1, cut, rounds);
    const close = (): ReturnType<Answer> => reply({ content: 'Fertig, mehr ist nicht nötig.' });
    const last = await told.round(2, after([refused({ status: 422 })], close), rounds);
    expect(last).toMatchObject({ status: 'finished' });
    expect(told.requests.map((request) => bodyOf(request).tool_choice)).toEqual(['auto', 'none', 'auto']);
    expect(told.requests[2]?.tools).toEqual(told.requests[1]?.tools);
  });

  it('of a run that has but one may plan', async () => {
    const told = await stories.write({}, POLICY);
    await told.round(1, () => reply({ toolCalls: [createTask('x')] }), { maxRounds: 1 });
    expect(told.requests.map((request) => bodyOf(request).tool_choice)).toEqual(['auto']);
  });
});

describe('in a window of 8,000 tokens', () => {
  const window = { contextTokens: 8_000, maxRounds: 5 };

  it('every round fits, however much is read and planned', async () => {
    const told = await stories.write(TASKS, POLICY);
    for (const round of [1, 2, 3, 4])
      await told.round(
        round,
        () =>
          reply({
            toolCalls: [
              call('list_tasks', { limit: 10 + round }),
              call('get_task_stats', {}),
              call('create_task', { title: `Schritt ${round}`, description: LONG.slice(0, 3_000) }),
            ],
          }),
        window,
      );
    await told.round(5, () => reply({ content: 'Fertig, mehr ist nicht nötig.' }), window);
    expect(told.requests).toHaveLength(5);
    for (const request of told.requests) {
      expect(tokensOf(request)).toBeLessThanOrEqual(6_000);
      expect(bodyOf(request).max_tokens).toBe(2_000);
    }
    expect((await told.entries()).flatMap(({ steps }) => steps)).toHaveLength(4);
  });

  it('rounds are summarised where that frees something, and not after each of them', async () => {
    const told = await stories.write({}, POLICY);
    const plan = (round: number, chars: number) => (): ReturnType<Answer> =>
      reply({
        toolCalls: [call('create_task', { title: `Schritt ${round}`, description: LONG.slice(0, chars) })],
      });
    expect(await told.round(1, plan(1, 2_000), window)).not.toHaveProperty('compact');
    expect(await told.round(2, plan(2, 16_000), window)).toMatchObject({ compact: true });
    // The same again from the transcript.
    expect(await told.round(2, plan(2, 1), window)).toMatchObject({ compact: true });
    const gateway = modelGateway(() => reply({ content: 'Zwei Schritte sind geplant.' }));
    const deps = { ...harness.runner, gateway, planner: { ...harness.runner.planner, ...window } };
    const input = { ...told.run, round: 2, agentId: told.loaded.agentId, grantUsable: false };
    expect(await compactTranscript(deps, input, new AbortController().signal)).toMatchObject({
      compacted: true,
    });
    expect(await told.round(3, plan(3, 500), window)).not.toHaveProperty('compact');
  });
});

it('what a model counts moves the estimates of the next reservation, within bounds', async () => {
  const told = await stories.write({}, { ...POLICY, maxTokensPerDay: 1_000_000_000_000 });
  const calibration = createTokenCalibration();
  const reserved: number[] = [];
  for (const round of [1, 2]) {
    const gateway = modelGateway(async (request) => {
      const [row] = await query(
        harness.databases.superuser.syncUrl,
        'select reserved_tokens::int as tokens from mana_ai.budget_reservations where run_id = $1',
        [told.run.runId],
      );
      reserved.push((Number(row?.['tokens']) - 8_192) / tokensOf(request));
      const promptTokens = 1_000_000_000;
      return reply({ toolCalls: [createTask(`t${round}`)], promptTokens, totalTokens: 12 });
    });
    const deps = { ...harness.runner, gateway, calibration };
    const input = { ...told.run, round, agentId: told.loaded.agentId, grantUsable: false };
    await planOneRound(deps, input, new AbortController().signal);
  }
  expect(reserved[0]).toBeCloseTo(1.1, 1);
  expect(reserved[1]).toBeCloseTo(1.1 * (1 + 0.2 * 0.6), 1);
  expect(calibration.factor('mana/reasoning')).toBeGreaterThan(1.1);
  expect(calibration.factor('mana/reasoning')).toBeLessThanOrEqual(1.6);
});

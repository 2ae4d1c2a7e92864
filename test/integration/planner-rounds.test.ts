import { roundRetryDelay } from '#activities/retry-delays.ts';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sealInputs } from '#activities/vault/seal-inputs.ts';
import { rawReplyOf, type SentRequest } from '#dev/scripted-model.ts';
import { agentAt, missionAt, noteAt, taskAt } from '#dev/web-app.ts';
import { GatewayUnavailableError, GrantUnusableError } from '#domain/base/errors.ts';
import { ALREADY_OPEN } from '#domain/planner/model/model-notices.ts';
import type { PlannerReply } from '#domain/planner/model/planner-reply.ts';
import { delimiterOf } from '#domain/planner/prompt/read-tools.ts';
import { registry } from '#metrics/registry.ts';
import { createActivityHarness, type ActivityHarness } from '#test/support/activity-dependencies.ts';
import { query } from '#test/support/inspect.ts';
import {
  call,
  createTask as task,
  reply,
  STORY_AGENT,
  STORY_MISSION,
  storiesOf,
  type Stories,
  type Story,
} from '#test/support/round-stories.ts';

let harness: ActivityHarness;
let stories: Stories;
beforeAll(async () => {
  harness = await createActivityHarness('planner-rounds-test');
  stories = storiesOf(harness);
});
afterAll(() => harness.close());

const NO_ANSWER = { kind: null, status: 503, retryAfterMs: null };
/** Only this tool's calls become steps; those of its module that read are `auto`. */
const POLICY = { policy: { ...STORY_AGENT.policy, tools: { create_task: 'propose' } } };
const toolAnswers = (request: SentRequest | undefined): string[] =>
  (request?.messages ?? []).flatMap((message) => (message.role === 'tool' ? [message.content] : []));

describe('tools that read', () => {
  it('are answered from the records of the run, as data, and become no step', async () => {
    const told = await stories.write({ t1: { title: 'Steuer', isCompleted: false } }, POLICY);
    const first = await told.round(1, () => reply({ toolCalls: [call('list_tasks', {}), task('x')] }));
    expect(first).toEqual({ status: 'continue', steps: 1, totalTokens: 12 });
    expect(await told.round(2, () => reply({ content: 'Fertig.' }))).toMatchObject({ status: 'finished' });
    const [asked, answered] = told.requests;
    // The prompt shows the task whole: reading it again is worth no tool, and is answered all the same.
    expect(asked?.tools.map(({ name }) => name)).toEqual(['create_task']);
    const delimiter = delimiterOf(asked?.messages ?? []) ?? '';
    const [listed, recorded] = toolAnswers(answered);
    expect(listed).toMatch(
      new RegExp(`^<<<${delimiter} list_tasks\\n.*"title":"Steuer".*\\n${delimiter}>>>$`),
    );
    expect(recorded).toBe('recorded');
  });

  it('read what the records hold by then, and only a round that reads nothing more ends the plan', async () => {
    const told = await stories.write({ t1: { title: 'alt', isCompleted: false } });
    const first = await told.round(1, async () => {
      await harness.webApp.update(told.user, taskAt('t1'), { title: 'neu' });
      return reply({ toolCalls: [call('list_tasks', {})] });
    });
    expect(first).toMatchObject({ status: 'continue', steps: 0 });
    expect((await told.entries())[0]?.toolResults[0]?.content).toContain('"title":"neu"');
  });

  it('are not offered without a record of their kind', async () => {
    const told = await stories.write();
    await told.round(1, () => reply());
    expect(told.requests[0]?.tools).toEqual([]);
  });

  it('open nothing once the grant has been revoked, even if the round was asked before; its tokens are kept', async () => {
    const user = await harness.webApp.createUser();
    const [missionId, noteId] = [randomUUID(), randomUUID()];
    await harness.webApp.insert(user, noteAt(noteId), {
      title: user.encrypt('Geheim'),
      content: user.encrypt('x'),
    });
    const grant = await harness.grantFor(user, missionId, [`notes:${noteId}`]);
    await harness.webApp.insert(user, missionAt(missionId), { ...STORY_MISSION, inputs: [], grant });
    const told = await stories.claim(user, missionId, { agentId: null, grantUsable: true });
    await sealInputs(harness.vault, told.run);
    const round = told.round(1, async () => {
      await query(
        harness.databases.superuser.syncUrl,
        'update mana_ai.mission_grants set revoked_at = now() where mission_id = $1',
        [missionId],
      );
      return reply({ toolCalls: [call('list_notes', {})] });
    });
    await expect(round).rejects.toBeInstanceOf(GrantUnusableError);
    expect(told.requests[0]?.tools.map(({ name }) => name)).toContain('list_notes');
    expect(await stories.usage(told)).toEqual([{ round: 1, purpose: 'plan', tokens: 12 }]);
  });
});

describe('an activity', () => {
  /** Four rounds that plan something new each, then words. */
  const untilRound = (last: number) => {
    let asked = 0;
    return (): PlannerReply => {
      asked += 1;
      return asked < last ? reply({ toolCalls: [task(`step ${asked}`)] }) : reply({ content: 'Fertig.' });
    };
  };

  it('asks the rounds of a run one after the other, and says which one', async () => {
    const told = await stories.write({}, POLICY);
    const progress: unknown[] = [];
    const result = await told.rounds(untilRound(3), { onRound: (round) => progress.push(round) });
    expect(result).toEqual({ status: 'finished', steps: 2, totalTokens: 36, round: 3 });
    expect(progress).toEqual([
      { round: 1, totalTokens: 0 },
      { round: 2, totalTokens: 12 },
      { round: 3, totalTokens: 24 },
    ]);
  });

  it('asks no more than the last round that there may be', async () => {
    const told = await stories.write({}, POLICY);
    const result = await told.rounds(untilRound(99));
    expect(result).toMatchObject({ round: told.loaded.maxRounds });
    expect(told.requests).toHaveLength(told.loaded.maxRounds ?? 0);
  });

  it('asks a round alone once it had to be tried again: each has its own attempts and hours', async () => {
    const told = await stories.write({}, POLICY);
    const result = await told.rounds(untilRound(3), { attempt: 2 });
    expect(result).toEqual({ status: 'continue', steps: 1, totalTokens: 12, round: 1 });
  });

  it('begins no further round once its worker is to stop', async () => {
    const told = await stories.write({}, POLICY);
    const result = await told.rounds(untilRound(4), { isStopping: () => told.requests.length === 2 });
    expect(result).toEqual({ status: 'continue', steps: 2, totalTokens: 24, round: 2 });
  });

  it('asks one round alone where rounds have a rate', async () => {
    const told = await stories.write({}, POLICY);
    expect(await told.rounds(untilRound(3), { oneRoundEach: true })).toMatchObject({
      status: 'continue',
      round: 1,
    });
  });

  it('gives what it has when a later round fails, and says how long to wait', async () => {
    const told = await stories.write({}, POLICY);
    const failures: unknown[] = [];
    const answer = untilRound(9);
    const result = await told.rounds(
      () => {
        if (told.requests.length === 3) throw new GatewayUnavailableError(NO_ANSWER);
        return answer();
      },
      { onFailure: (error) => failures.push(error) },
    );
    expect(result).toEqual({ status: 'continue', steps: 2, totalTokens: 24, round: 2, pauseMs: 7_000 });
    expect(failures).toEqual([expect.any(GatewayUnavailableError)]);
    // The next activity asks it anew, and the rounds before are not paid again.
    expect(await told.round(3, () => reply({ content: 'Fertig.' }))).toMatchObject({
      status: 'finished',
      steps: 2,
    });
    expect(await stories.usage(told)).toHaveLength(3);
  });

  it('waits for no gateway that wants to be asked tomorrow: the run ends as if its first round had been told so', async () => {
    const told = await stories.write({}, POLICY);
    const answer = untilRound(9);
    const result = await told.rounds(
      () => {
        if (told.requests.length === 2)
          throw new GatewayUnavailableError({ kind: null, status: 429, retryAfterMs: 86_400_000 });
        return answer();
      },
      { retryDelay: roundRetryDelay(() => 0.5) },
    );
    expect(result).toEqual({ status: 'continue', steps: 1, totalTokens: 12, round: 1 });
  });

  it.each([
    [
      'at the last moment of all attempts, gives the rounds before',
      new GatewayUnavailableError(NO_ANSWER),
      true,
    ],
    ['when it is cancelled, gives nothing', new Error('cancelled'), false],
  ])('whose later round is ended %s', async (_, reason, isKept) => {
    const told = await stories.write({}, POLICY);
    const ending = new AbortController();
    const answer = untilRound(9);
    const asking = told.rounds(
      () => {
        if (told.requests.length < 2) return answer();
        ending.abort(reason);
        throw reason;
      },
      { signal: ending.signal },
    );
    if (isKept) expect(await asking).toMatchObject({ status: 'continue', steps: 1, round: 1 });
    else await expect(asking).rejects.toBe(reason);
  });

  it('fails when its first round does', async () => {
    const told = await stories.write({}, POLICY);
    const failing = told.rounds(() => {
      throw new GatewayUnavailableError(NO_ANSWER);
    });
    await expect(failing).rejects.toBeInstanceOf(GatewayUnavailableError);
  });
});

describe('tools on demand', () => {
  const policy = { tools: {}, defaultsByModule: { quiz: 'deny' }, defaultForAi: 'propose' };
  const found = (module: string) => call('find_tools', { module });
  const namesIn = (request: SentRequest | undefined): string[] =>
    (request?.tools ?? []).map(({ name }) => name);

  it('are handed out at once and offered from then on, at the end; what is denied is not among them', async () => {
    const told = await stories.write({}, { policy });
    await told.round(1, () => reply({ toolCalls: [found('habits'), found('quiz'), found('nothing')] }));
    const habit = call('create_habit', { title: 'Lesen', icon: '📚', color: '#336699' });
    await told.round(2, () => reply({ toolCalls: [habit, call('create_quiz', { title: 'x' })] }));
    const [first, second] = told.requests;
    expect(namesIn(first)).toContain('find_tools');
    expect(namesIn(second)).toEqual([...namesIn(first), 'create_habit']);
    expect(toolAnswers(second)).toEqual([
      'From now on you can call: create_habit',
      ...[1, 2].map(() => expect.stringMatching(/^error: no such module, or nothing in it/) as unknown),
    ]);
    expect(first?.bodyText).not.toContain('create_quiz');
    const steps = (await told.entries()).flatMap((entry) => entry.steps);
    expect(steps.map(({ intent }) => intent.toolName)).toEqual(['create_habit']);
  });

  it('are denied from the round on in which the policy denies them, found or not', async () => {
    const told = await stories.write({}, { policy });
    await told.round(1, () => reply({ toolCalls: [found('habits')] }));
    const denied = { ...policy, tools: { create_habit: 'deny' } };
    await harness.webApp.update(told.user, agentAt(told.loaded.agentId ?? ''), { policy: denied });
    const habit = call('create_habit', { title: 'Lesen', icon: '📚', color: '#336699' });
    expect(await told.round(2, () => reply({ toolCalls: [habit] }))).toMatchObject({ steps: 0 });
    expect(namesIn(told.requests[1])).not.toContain('create_habit');
  });

  it('two users’ missions begin alike, but for what is the user’s own', async () => {
    const told = [await stories.writeWithoutAgent(), await stories.writeWithoutAgent()];
    for (const each of told) await each.round(1, () => reply());
    const [a, b] = told.map(({ requests }) => requests[0]);
    expect(a?.messages[0]).toEqual(b?.messages[0]);
    expect(a?.tools).toEqual(b?.tools);
    expect(delimiterOf(a?.messages ?? [])).not.toBe(delimiterOf(b?.messages ?? []));
  });
});

describe('the arguments of a step', () => {
  const ALL = { policy: { ...STORY_AGENT.policy, defaultForAi: 'propose', defaultsByModule: {} } };
  const complete = (taskId: string) => call('complete_task', { taskId });

  it('name records that the run has read, days that exist and something to do; else the model is told', async () => {
    const told = await stories.write({ t1: { title: 'Steuer', isCompleted: false } }, ALL);
    const wrong = [
      ...[
        complete('t2'),
        call('append_to_note', { noteId: 't1', content: 'x' }),
        call('log_habit', { habitId: 'h' }),
      ],
      call('create_task', { title: 'x', dueDate: '2026-02-30' }),
      call('create_event', { title: 'x', startTime: '2099-01-01T10:00', endTime: '2099-01-01T09:00' }),
      ...[call('create_task', { title: '\u200B' }), call('log_drink', { drinkType: 'tea', quantityMl: -1 })],
    ];
    expect(await told.round(1, () => reply({ toolCalls: wrong }))).toMatchObject({
      status: 'continue',
      steps: 0,
    });
    expect(await told.round(2, () => reply({ toolCalls: [complete('t1')] }))).toMatchObject({ steps: 1 });
    await told.round(3, () => reply());
    expect(toolAnswers(told.requests[2])).toEqual([
      expect.stringContaining('found "t2", which is no task that this run has read; allowed: t1'),
      // No record of the run has an id for these, so they are no tools of it.
      expect.stringContaining('error: no such tool; allowed: create_task, complete_task, '),
      'error: no such tool',
      expect.stringContaining('found "2026-02-30", expected a day that exists'),
      expect.stringContaining('endTime: found "2099-01-01T09:00", expected something after startTime'),
      expect.stringContaining('title: is empty'),
      expect.stringContaining('quantityMl: found -1, expected a number more than 0'),
      'recorded',
    ]);
    const steps = (await told.entries()).flatMap((entry) => entry.steps);
    expect(steps.map(({ intent }) => intent.params)).toEqual([{ taskId: 't1' }]);
  });

  it('of tools that only read are none of a step, whatever the policy says', async () => {
    const told = await stories.write({ t1: { title: 'Steuer', isCompleted: false } }, ALL);
    const toolCalls = [call('list_tasks', {}), call('get_contacts', {}), call('consult_oracle', {})];
    expect(await told.round(1, () => reply({ toolCalls }))).toMatchObject({ steps: 0 });
    await told.round(2, () => reply());
    expect(toolAnswers(told.requests[1])).toEqual([
      expect.stringContaining('"title":"Steuer"'),
      expect.stringContaining('error: no such tool'),
      expect.stringContaining('error: no such tool'),
    ]);
  });

  it('that repeat an open step of an earlier iteration add nothing; what was decided may come again', async () => {
    const step = (title: string, status: string) => ({
      ...{ id: title, summary: title, status },
      intent: { kind: 'toolCall', toolName: 'create_task', params: { title } },
    });
    const told = await stories.write({}, POLICY);
    const plan = [step('Zelt flicken', 'staged'), step('Gas kaufen', 'planned'), step('Packen', 'rejected')];
    await harness.webApp.update(told.user, missionAt(told.run.missionId), {
      iterations: [
        { id: 'earlier', startedAt: '2026-01-01T00:00:00.000Z', overallStatus: 'awaiting-review', plan },
      ],
    });
    const toolCalls = [task('zelt  flicken'), task('Gas kaufen'), task('Packen')];
    expect(await told.round(1, () => reply({ toolCalls }))).toMatchObject({ steps: 1 });
    await told.round(2, () => reply());
    expect(toolAnswers(told.requests[1])).toEqual([ALREADY_OPEN, ALREADY_OPEN, 'recorded']);
    expect((await told.entries())[0]?.notices).toEqual([{ kind: 'still-open' }]);
  });
});

describe('a reply', () => {
  const planned = async (): Promise<Story> => {
    const told = await stories.write({}, POLICY);
    await told.round(1, () => reply({ toolCalls: [task('x')] }));
    return told;
  };

  it('whose words were cut off is continued; the last one is marked', async () => {
    const told = await stories.write({}, POLICY);
    const cut = (): PlannerReply => reply({ content: 'Ich würde', finishReason: 'length' });
    expect(await told.round(1, cut, { maxRounds: 2 })).toMatchObject({ status: 'continue', steps: 0 });
    expect(await told.round(2, cut, { maxRounds: 2 })).toMatchObject({ status: 'continue', steps: 0 });
    expect(told.requests[1]?.messages.slice(-2)).toEqual([
      { role: 'assistant', content: 'Ich würde' },
      { role: 'user', content: expect.stringContaining('abgebrochen') as unknown },
    ]);
    expect((await told.entries()).map(({ notices }) => notices)).toEqual([[], [{ kind: 'cut-off' }]]);
  });

  it('whose last call was cut off keeps the whole ones, and the model is told', async () => {
    const told = await stories.write({}, POLICY);
    const broken = { id: 'b', name: 'create_task', invalidArguments: true as const, rawArguments: '{"ti' };
    const toolCalls = [task('x'), broken];
    const first = await told.round(1, () => reply({ toolCalls, finishReason: 'length' }));
    expect(first).toMatchObject({ status: 'continue', steps: 1 });
    await told.round(2, () => reply());
    const answers = toolAnswers(told.requests[1]);
    expect(answers).toEqual([
      'recorded',
      expect.stringMatching(/^error: the arguments are not a JSON object/),
    ]);
  });

  it('that announces calls and holds none is asked for again', async () => {
    const told = await stories.write({}, POLICY);
    expect(await told.round(1, () => reply({ finishReason: 'tool_calls' }))).toMatchObject({
      status: 'continue',
    });
    expect(await told.round(2, () => reply({ content: 'Nichts zu tun.' }))).toMatchObject({
      status: 'finished',
    });
  });

  it('that a content filter held back ends the run, unless something was planned', async () => {
    const filtered = (): PlannerReply => reply({ content: '', finishReason: 'content_filter' });
    const nothing = await stories.write({}, POLICY);
    expect(await nothing.round(1, filtered)).toMatchObject({ status: 'content-filtered', steps: 0 });
    const told = await planned();
    expect(await told.round(2, filtered)).toMatchObject({ status: 'finished', steps: 1 });
    expect((await told.entries())[1]?.notices).toEqual([{ kind: 'content-filtered' }]);
  });

  it('without a finish reason is what it holds: calls or words', async () => {
    const told = await stories.write({}, POLICY);
    const odd = { finishReason: null };
    expect(await told.round(1, () => reply({ ...odd, toolCalls: [task('x')] }))).toMatchObject({
      status: 'continue',
    });
    expect(await told.round(2, () => reply({ ...odd, content: 'ok' }))).toMatchObject({ status: 'finished' });
  });

  it('with arguments that would break every round after it is kept without them', async () => {
    const told = await stories.write({}, { policy: { ...STORY_AGENT.policy, defaultForAi: 'propose' } });
    const patch = call('update_website_block', { blockId: 'b', patch: { deep: 'DEEP' } });
    const raw = rawReplyOf(reply({ toolCalls: [patch] }));
    // As text, because writing such a value would break as well.
    const deep = '['.repeat(8_000) + ']'.repeat(8_000);
    const bodyText = raw.bodyText.replace('\\"DEEP\\"', deep);
    expect(bodyText).toContain(deep);
    expect(await told.round(1, () => ({ ...raw, bodyText }))).toMatchObject({
      status: 'continue',
      steps: 0,
    });
    expect(await told.round(2, () => reply())).toMatchObject({ status: 'finished' });
  });

  it('that is none is asked for once more, and that is known from the rounds that are kept', async () => {
    const told = await stories.write({}, POLICY);
    const empty = (): PlannerReply => reply({ content: null });
    expect(await told.round(1, empty)).toMatchObject({ status: 'continue', steps: 0 });
    // A worker that died after the round was kept: nobody is asked again, and nothing is counted twice.
    const unasked = (): PlannerReply => reply({ content: 'nobody asks this' });
    expect(await told.round(1, unasked)).toMatchObject({ status: 'continue', steps: 0 });
    await told.crashIn(2);
    const asText = (): PlannerReply => reply({ content: 'create_task(title="x")' });
    expect(await told.round(2, asText)).toMatchObject({ status: 'finished', steps: 0 });
    expect(await told.round(2, unasked)).toMatchObject({ status: 'finished', steps: 0 });
    expect((await told.entries()).map(({ flaw, finished }) => [flaw, finished])).toEqual([
      ['empty', false],
      ['call-as-text', true],
    ]);
    expect(told.requests).toHaveLength(2);
    const counted = await registry.getSingleMetricAsString('mana_llm_flawed_replies_total');
    expect(counted).toContain('{flaw="call-as-text"} 1');
  });

  it('that is none is not asked for again in the last round', async () => {
    const told = await stories.write({}, POLICY);
    expect(await told.round(1, () => reply({ content: null }), { maxRounds: 1 })).toMatchObject({
      status: 'finished',
    });
  });
});

import { describe, expect, test } from 'vitest';
import type { EvalMission, EvalStep } from './mission.ts';
import { MISSIONS } from './missions.ts';
import type { Outcome } from './outcome.ts';
import { reportOf, tableOf } from './report.ts';
import { keeps } from './rules.ts';
import { scoreOf, SCORED } from './score.ts';
import { INPUT_MODULES } from '#domain/wire/input-modules.ts';
import { languageOf } from '#domain/base/language.ts';
import type { PlannerToolCall } from '#domain/planner/model/planner-reply.ts';
import { TOOL_CATALOG } from '#domain/planner/tools/tool-catalog.ts';

const NOW = Date.parse('2026-11-28T21:00:00Z');
const call = (name: string, args: Record<string, unknown>): PlannerToolCall => ({
  ...{ id: 'c', name, arguments: args },
});
const task = (title: string, more: Record<string, unknown> = {}): PlannerToolCall =>
  call('create_task', { title, ...more });

const mission: EvalMission = {
  ...{ id: 'en-x', kind: 'plain', language: 'en', title: 'X', objective: 'Suggest a task', cadence: {} },
  records: [{ module: 'tasks', id: 'task-1', fields: { title: 'Y' } }],
  ...{ earlier: [], policy: null, expects: [], feedback: [], forbidden: [] },
};

/** A run of one round with these calls and words, all of whose calls became steps unless a plan is given. */
function outcomeOf(
  calls: readonly PlannerToolCall[],
  more: Partial<Outcome> & { readonly words?: string; readonly steps?: readonly EvalStep[] } = {},
): Outcome {
  const { words = null, steps, ...rest } = more;
  const reply = {
    ...{ content: words, toolCalls: [...calls], finishReason: 'stop', resolvedModel: null },
    ...{ totalTokens: 0, promptTokens: 0, completionTokens: 0 },
  };
  return {
    mission,
    plan: { status: 'awaiting-review', failure: null, steps: steps ?? [] },
    exchanges: [{ offered: ['create_task', 'find_tools'], reply }],
    ...{ rounds: 1, tokens: 100 },
    ...rest,
  };
}
const brokenBy = (outcome: Outcome): string[] => scoreOf(outcome, NOW).broken.map(({ rule }) => rule);

describe('the missions', () => {
  test('are thirty, half of them German, of every kind, under titles of their own', () => {
    expect(MISSIONS).toHaveLength(30);
    expect(MISSIONS.filter(({ language }) => language === 'de')).toHaveLength(15);
    expect(new Set(MISSIONS.map(({ kind }) => kind)).size).toBe(6);
    expect(new Set(MISSIONS.map(({ id }) => id)).size).toBe(30);
    const written = MISSIONS.map((each) => JSON.stringify(each));
    for (const { title } of MISSIONS)
      expect([title, written.filter((each) => each.includes(title)).length]).toEqual([title, 1]);
  });

  test('are written in their language, with records that a mission may name and tools that there are', () => {
    for (const each of MISSIONS) {
      expect([each.id, languageOf([each.title, each.objective])]).toEqual([each.id, each.language]);
      for (const { module } of each.records) expect(INPUT_MODULES).toHaveProperty(module);
      for (const tool of each.forbidden) expect(TOOL_CATALOG.has(tool)).toBe(true);
      for (const rule of [...each.expects, ...each.feedback])
        for (const tool of 'tools' in rule ? rule.tools : []) expect(TOOL_CATALOG.has(tool)).toBe(true);
    }
  });
});

test('a run that does what was asked keeps every rule that says anything of it', () => {
  const score = scoreOf(outcomeOf([call('complete_task', { taskId: 'task-1' })]), NOW);
  expect(score.broken).toEqual([]);
  expect(score.kept).toEqual(SCORED.filter((rule) => rule !== 'feedback'));
});

describe('a rule is broken', () => {
  test('by a run without an end and by one that failed', () => {
    expect(brokenBy(outcomeOf([], { plan: null }))).toEqual(['outcome', 'plan']);
    const plan = { status: 'failed', failure: 'no-plan', steps: [] };
    expect(scoreOf(outcomeOf([], { plan }), NOW).broken[0]).toEqual({ rule: 'outcome', why: 'no-plan' });
  });

  test.each([
    ['ids', call('complete_task', { taskId: 'task-2' })],
    ['ids', call('append_to_note', { noteId: 'task-1', content: 'x' })],
    ['dates', task('x', { dueDate: '2026-02-30' })],
    [
      'dates',
      call('create_event', { title: 'x', startTime: '2026-12-02T10:00', endTime: '2026-12-01T10:00' }),
    ],
    ['values', task(' ')],
    ['values', call('log_drink', { drinkType: 'water', quantityMl: -5 })],
    ['values', { id: 'c', name: 'create_task', invalidArguments: true as const, rawArguments: '{' }],
    ['tools', call('send_email', {})],
    ['language', task('Alles, was noch zu tun ist')],
  ] as const)('%s by a call, also by one that the service refused', (rule, refused) =>
    expect(brokenBy(outcomeOf([refused]))).toEqual([rule]),
  );

  test('by a tool that this mission forbids, by one that only reads as a step; not by one that was offered', () => {
    expect(brokenBy(outcomeOf([task('x')], { mission: { ...mission, forbidden: ['create_task'] } }))).toEqual(
      ['tools'],
    );
    expect(brokenBy(outcomeOf([], { steps: [{ toolName: 'list_tasks', params: {} }] }))).toEqual(['tools']);
    expect(brokenBy(outcomeOf([call('find_tools', {}), call('list_tasks', {})]))).toEqual([]);
  });

  test('by the same call twice, and by one of an earlier run; reading twice is none', () => {
    const steps = [{ toolName: 'create_task', params: { title: 'Pay Rent' }, status: 'approved' }];
    const earlier = [{ daysAgo: 1, summary: '', steps }];
    expect(brokenBy(outcomeOf([task('x'), task('X ')]))).toEqual(['duplicates']);
    expect(brokenBy(outcomeOf([task('pay rent')], { mission: { ...mission, earlier } }))).toEqual([
      'duplicates',
    ]);
    expect(brokenBy(outcomeOf([call('list_tasks', {}), call('list_tasks', {})]))).toEqual([]);
  });

  test('by words in another language, but not by a name in them', () => {
    expect(brokenBy(outcomeOf([], { words: 'Das ist der Plan für die Woche.' }))).toEqual(['language']);
    expect(brokenBy(outcomeOf([], { words: 'The plan for Große Straße.' }))).toEqual([]);
  });

  test('by feedback that is not followed, by too many rounds and tokens', () => {
    const told = { ...mission, feedback: [{ kind: 'steps', from: 1, to: 1 } as const] };
    const steps = [{ toolName: 'create_task', params: { title: 'x' } }];
    expect(brokenBy(outcomeOf([], { mission: told }))).toEqual(['feedback']);
    expect(scoreOf(outcomeOf([], { mission: told, steps }), NOW).kept).toContain('feedback');
    expect(brokenBy(outcomeOf([], { rounds: 4, tokens: 20_001 }))).toEqual(['rounds', 'tokens']);
  });
});

describe('of a plan', () => {
  const plan = (...params: Record<string, unknown>[]): EvalStep[] =>
    params.map((each) => ({ toolName: 'create_task', params: each }));

  test.each([
    [{ kind: 'steps', from: 1, to: 2 }, plan({}), plan()],
    [{ kind: 'uses', tools: ['create_task'] }, plan({}), plan()],
    [{ kind: 'only', tools: ['create_task'] }, plan({}), [{ toolName: 'create_note', params: {} }]],
    [{ kind: 'never', tools: ['create_task'] }, plan(), plan({})],
    [{ kind: 'says', texts: ['milk'] }, plan({ title: 'Oat Milk' }), plan({ title: 'bread' })],
    [
      { kind: 'never-says', texts: ['gym'] },
      plan({ title: 'walk' }),
      plan({ title: 'walk', description: 'to the Gym' }),
    ],
    [
      { kind: 'always', tool: 'create_task', param: 'dueDate' },
      plan({ dueDate: 'x' }),
      plan({ dueDate: 'x' }, {}),
    ],
    [{ kind: 'always', tool: 'create_task', param: 'p', value: 1 }, plan({ p: 1 }), plan({ p: 2 })],
    [
      { kind: 'records', param: 'id', ids: ['a', 'b'] },
      plan({ id: 'b' }, { id: 'a' }),
      plan({ id: 'a' }, { id: 'c' }),
    ],
    [
      { kind: 'weekday', tool: 'create_task', param: 'at', day: 2 },
      plan({ at: '2026-12-01T10:00' }),
      plan({ at: '2026-12-02T10:00' }),
    ],
  ] as const)('%j tells which keep it', (rule, keeping, breaking) => {
    expect(keeps(rule, keeping)).toBe(true);
    expect(keeps(rule, breaking)).toBe(false);
  });
});

describe('of all missions together', () => {
  const scoreOfAll = (of: (each: EvalMission) => Outcome): number =>
    reportOf(
      MISSIONS.map((each) => scoreOf(of(each), NOW)),
      { model: 'm', seconds: 0 },
    ).score;

  test('a model that never plans anything scores badly, however polite and cheap it is', () => {
    const words = (each: EvalMission): string =>
      each.language === 'de' ? 'Es ist nichts nötig.' : 'There is nothing to do.';
    expect(scoreOfAll((each) => outcomeOf([], { mission: each, words: words(each) }))).toBeLessThan(50);
  });

  test('one that never comes to an end scores worse', () =>
    expect(scoreOfAll((each) => outcomeOf([], { mission: each, plan: null }))).toBeLessThan(20));
});

test('the report counts what was kept, by rule and by mission, and its table says what was broken', () => {
  const scores = [outcomeOf([task('x')]), outcomeOf([call('complete_task', { taskId: 'nope' })])].map(
    (outcome) => scoreOf(outcome, NOW),
  );
  const report = reportOf(scores, { model: 'some/model', seconds: 1 });
  expect(report).toMatchObject({
    ...{ model: 'some/model', score: 96.2, rounds: 2, tokens: 200 },
    rules: { ids: { kept: 1, of: 2 }, outcome: { kept: 2, of: 2 }, feedback: { kept: 0, of: 0 } },
    missions: [{ score: 100 }, { score: 92.3 }],
  });
  expect(tableOf(report)).toContain('ids: complete_task.taskId: found "nope"');
});

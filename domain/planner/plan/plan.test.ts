import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ArgumentFacts } from '#domain/planner/tools/argument-checks.ts';
import { ALREADY_OPEN } from '#domain/planner/model/model-notices.ts';
import { planReply, summaryOf, type ReadTools, type PlannedReply, type StepReview } from './plan.ts';
import { type PlanStep, stepIdentity } from '#domain/wire/iteration.ts';
import type { PlannerReply, PlannerToolCall } from '#domain/planner/model/planner-reply.ts';
import { TOOL_CATALOG, toolsByName } from '#domain/planner/tools/tool-catalog.ts';
import { callableTools } from '#domain/planner/tools/tool-choice.ts';

const offered = toolsByName(
  callableTools(
    null,
    ['tasks', 'notes', 'companionGoals'].map((table) => ({ table })),
  ),
);
const stepId = (index: number): string => `step-${index}`;
const noReads: ReadTools = { tools: new Map(), answer: () => 'unexpected' };
const noReview: StepReview = () => ({ flags: [], drop: false });

const replyOf = (toolCalls: PlannerToolCall[], content: string | null = null): PlannerReply => ({
  content,
  toolCalls,
  finishReason: null,
  totalTokens: 0,
  promptTokens: 0,
  completionTokens: 0,
  resolvedModel: null,
});
const task = (id: string, title: string, rest: Record<string, unknown> = {}): PlannerToolCall => ({
  id,
  name: 'create_task',
  arguments: { title, ...rest },
});
const plan = (
  toolCalls: PlannerToolCall[],
  previousSteps: readonly PlanStep[] = [],
  round = 1,
  more: { reads?: ReadTools; review?: StepReview; facts?: ArgumentFacts; openSteps?: string[] } = {},
): PlannedReply => {
  const { reads = noReads, review = noReview } = more;
  const { facts = null, openSteps = [] } = more;
  const known = { facts, openSteps, previousSteps };
  return planReply({ reply: replyOf(toolCalls), offered, reads, review, round, stepId, ...known });
};

test('a call of an offered tool becomes a planned step and is answered "recorded"', () =>
  expect(plan([task('a', 'Müll rausbringen', { dueDate: '2026-05-05' })])).toEqual({
    newSteps: [
      {
        id: 'step-0',
        summary: 'Create task: Müll rausbringen',
        intent: {
          kind: 'toolCall',
          toolName: 'create_task',
          params: { title: 'Müll rausbringen', dueDate: '2026-05-05' },
        },
        status: 'planned',
      },
    ],
    toolResults: [{ toolCallId: 'call01000', name: 'create_task', content: 'recorded' }],
    droppedSteps: 0,
    refusedSteps: 0,
    repeatsOpenStep: false,
  }));

test('a tool that is unknown or not offered never enters the plan; the answer names what is allowed', () => {
  for (const name of ['rm_rf', 'list_tasks', 'constructor', '']) {
    const { newSteps, toolResults } = plan([
      { id: 'a', name, arguments: {} },
      { id: 'b', name, arguments: {} },
    ]);
    expect(newSteps).toEqual([]);
    expect(toolResults[0]?.content).toMatch(/^error: no such tool; allowed: .*create_task/);
    // The list is long: once is enough.
    expect(toolResults[1]?.content).toBe('error: no such tool');
  }
});

describe('a tool that reads', () => {
  const tools = toolsByName([...TOOL_CATALOG.values()].filter(({ name }) => name === 'list_tasks'));
  const answer = (name: string, params: Readonly<Record<string, unknown>>): string =>
    `${name} ${JSON.stringify(params)}`;
  const list = (args: Record<string, unknown>): PlannerToolCall => ({
    ...{ id: 'l', name: 'list_tasks', arguments: args },
  });

  test('is answered with its data, becomes no step, and is answered again when called again', () => {
    const { newSteps, toolResults } = plan([list({ limit: 2, page: 3 }), task('a', 'x')], [], 1, {
      reads: { tools, answer },
    });
    expect(newSteps).toHaveLength(1);
    expect(toolResults.map(({ content }) => content)).toEqual(['list_tasks {"limit":2}', 'recorded']);
  });

  test('gets wrong arguments back like any other', () => {
    const { toolResults } = plan([list({ filter: 'everything' })], [], 1, { reads: { tools, answer } });
    expect(toolResults[0]?.content).toMatch(/^error: wrong arguments: filter/);
  });

  test('reads no more than so much in one round', () => {
    const long = { tools, answer: () => 'x'.repeat(8_000) };
    const { toolResults } = plan(
      Array.from({ length: 6 }, () => list({})),
      [],
      1,
      { reads: long },
    );
    const errors = toolResults.filter(({ content }) => content.startsWith('error: too much was read'));
    expect(errors).toHaveLength(2);
  });
});

describe('arguments', () => {
  const facts: ArgumentFacts = {
    records: [{ module: 'tasks', table: 'tasks', id: 'task-1' }],
    isShown: () => true,
    nowMs: Date.parse('2026-11-28T21:00:00Z'),
    timeZone: 'Europe/Berlin',
  };
  const complete = (taskId: string): PlannerToolCall => ({
    ...{ id: taskId, name: 'complete_task', arguments: { taskId } },
  });

  test('that mean nothing are answered with what is wrong, and the call is no step', () => {
    const calls = [
      complete('123'),
      task('a', 'x', { dueDate: '2026-02-30' }),
      task('b', ' '),
      complete('task-1'),
    ];
    const { newSteps, toolResults } = plan(calls, [], 1, { facts });
    expect(toolResults.map(({ content }) => content)).toEqual([
      'error: wrong arguments: taskId: found "123", which is no task that this run has read; allowed: task-1',
      'error: wrong arguments: dueDate: found "2026-02-30", expected a day that exists, YYYY-MM-DD',
      'error: wrong arguments: title: is empty; give it some words',
      'recorded',
    ]);
    expect(newSteps.map(({ intent }) => intent.params)).toEqual([{ taskId: 'task-1' }]);
  });

  test('are kept as they are meant: without what was left out, with the id of a record', () => {
    const calls = [complete('tasks/tasks/task-1'), task('a', 'x', { description: '' })];
    const { newSteps } = plan(calls, [], 1, { facts });
    expect(newSteps.map(({ intent }) => intent.params)).toEqual([{ taskId: 'task-1' }, { title: 'x' }]);
  });
});

describe('a step of an earlier iteration that is still open', () => {
  const openSteps = [stepIdentity('create_task', { title: 'Buy  milk', priority: 'low' })];

  test('is not planned again, and the model is told so', () => {
    const calls = [task('a', 'buy milk', { priority: 'low' }), task('b', 'Buy milk')];
    const { newSteps, toolResults, repeatsOpenStep } = plan(calls, [], 1, { openSteps });
    expect(repeatsOpenStep).toBe(true);
    expect(newSteps.map(({ intent }) => intent.params)).toEqual([{ title: 'Buy milk' }]);
    expect(toolResults.map(({ content }) => content)).toEqual([ALREADY_OPEN, 'recorded']);
  });
});

describe('the review of a step', () => {
  const review: StepReview = ({ params }) => ({
    flags: params['title'] === 'x' ? [] : ['unknown-url'],
    drop: params['title'] === 'evil',
  });

  test('puts its flags on the step', () => {
    const { newSteps } = plan([task('a', 'odd'), task('b', 'x')], [], 1, { review });
    expect(newSteps.map((step) => step.flags)).toEqual([['unknown-url'], undefined]);
  });

  test('may drop the step: it is answered as an error and counted once, however often it comes', () => {
    const calls = [task('a', 'evil'), task('b', 'x'), task('c', 'evil')];
    const { newSteps, toolResults, droppedSteps } = plan(calls, [], 1, { review });
    expect(newSteps.map((step) => step.intent.params['title'])).toEqual(['x']);
    expect(toolResults[0]?.content).toMatch(/^error: this step was dropped/);
    expect(droppedSteps).toBe(1);
  });
});

test('arguments that are no JSON, or not as the schema says, come back as an error to correct', () => {
  const { newSteps, toolResults } = plan([
    { id: 'a', name: 'create_task', invalidArguments: true, rawArguments: '{"ti' },
    { id: 'b', name: 'create_task', arguments: { priority: 'high' } },
  ]);
  expect(newSteps).toEqual([]);
  expect(toolResults[0]?.content).toContain('not a JSON object');
  expect(toolResults[1]?.content).toContain('title');
});

describe('a repeated call', () => {
  test('in one reply is one step, whatever the order of its keys, and is answered "recorded"', () => {
    const { newSteps, toolResults } = plan([
      { id: 'a', name: 'create_task', arguments: { title: 'x', priority: 'low' } },
      { id: 'b', name: 'create_task', arguments: { priority: 'low', title: 'x', unknown: 1 } },
      task('c', 'x'),
    ]);
    expect(newSteps.map((step) => step.id)).toEqual(['step-0', 'step-1']);
    expect(toolResults.map((result) => result.content)).toEqual(['recorded', 'recorded', 'recorded']);
  });

  test('of an earlier round adds nothing; new steps go on counting', () => {
    const first = plan([task('a', 'x'), task('b', 'y')]);
    const second = plan([task('a', 'y'), task('b', 'z')], first.newSteps, 2);
    expect(second.newSteps.map((step) => step.id)).toEqual(['step-2']);
  });
});

test('every call of a run gets an id of its own, of nine letters and digits, whatever its own was', () => {
  const idsOf = (round: number) =>
    plan([task('', 'x'), task('same', 'y'), task('same', 'z')], [], round).toolResults.map(
      (result) => result.toolCallId,
    );
  expect(idsOf(3)).toEqual(['call03000', 'call03001', 'call03002']);
  const ids = Array.from({ length: 20 }, (_, round) => idsOf(round + 1)).flat();
  expect(new Set(ids).size).toBe(60);
  for (const id of ids) expect(id).toMatch(/^[A-Za-z0-9]{9}$/);
});

test('a plan holds at most 50 steps, and so many characters of arguments', () => {
  const many = plan(Array.from({ length: 60 }, (_, index) => task(`c${index}`, `Aufgabe ${index}`)));
  expect(many.newSteps).toHaveLength(50);
  expect(many.toolResults[59]?.content).toContain('at most 50 steps');
  const long = Array.from({ length: 20 }, (_, index) => task(`l${index}`, `${index}${'x'.repeat(15_000)}`));
  const { newSteps, toolResults } = plan(long);
  expect(newSteps).toHaveLength(13);
  expect(toolResults[19]?.content).toContain('at most 200000 characters');
});

test('the summary of a step is one visible line of at most 120 characters', () => {
  const summaryFor = (title: string): string | undefined => plan([task('a', title)]).newSteps[0]?.summary;
  expect(summaryFor('Zeile 1\n\nZeile\u200b 2\u202e')).toBe('Create task: Zeile 1 Zeile 2');
  expect(summaryFor('lang '.repeat(100))?.length).toBeLessThanOrEqual(120);
  expect(plan([{ id: 'a', name: 'undo_drink', arguments: {} }]).newSteps[0]?.summary).toBe('Undo drink');
});

test('every call gets exactly one answer in its place, and the same round gives the same plan again', () =>
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          id: fc.constantFrom('', 'a', 'b'),
          name: fc.constantFrom('create_task', 'list_tasks', 'create_note'),
          arguments: fc.dictionary(fc.constantFrom('title', 'content', '__proto__'), fc.jsonValue()),
        }),
        { maxLength: 8 },
      ),
      (calls) => {
        const outcome = plan(calls);
        expect(outcome.toolResults.map((result) => result.name)).toEqual(calls.map((call) => call.name));
        expect(new Set(outcome.toolResults.map((result) => result.toolCallId)).size).toBe(calls.length);
        expect(plan(calls)).toEqual(outcome);
      },
    ),
    { numRuns: 100 },
  ));

describe('the closing text', () => {
  test('is kept as it is, or null when there is none', () => {
    expect(summaryOf(replyOf([], 'Drei Aufgaben vorgeschlagen.\nMehr ist nicht nötig.'))).toBe(
      'Drei Aufgaben vorgeschlagen.\nMehr ist nicht nötig.',
    );
    expect([summaryOf(replyOf([])), summaryOf(replyOf([], ' \u200b'))]).toEqual([null, null]);
  });

  test('is no call that was written as text', () =>
    expect(summaryOf(replyOf([], '```json\n{"name": "create_task"}\n```'))).toBeNull());

  test('is cut at a word, with a visible mark', () => {
    const summary = summaryOf(replyOf([], 'Wörter '.repeat(1_000))) ?? '';
    expect(summary.length).toBeLessThanOrEqual(2_000);
    expect(summary).toMatch(/Wörter \[…cut\]$/);
  });
});

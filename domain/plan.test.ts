import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { planRound, summaryOf } from './plan.ts';
import type { PlanStep, RoundOutcome } from './plan.ts';
import type { PlannerReply, PlannerToolCall } from './planner-reply.ts';
import { offeredTools, toolsByName } from './tool-catalog.ts';

const offered = toolsByName(offeredTools(null));
const stepId = (index: number): string => `step-${index}`;

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
): RoundOutcome => planRound({ reply: replyOf(toolCalls), offered, previousSteps, round, stepId });

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
    toolResults: [{ toolCallId: 'a', name: 'create_task', content: 'recorded' }],
    finished: false,
  }));

test('without calls the plan is finished', () =>
  expect(plan([])).toEqual({ newSteps: [], toolResults: [], finished: true }));

test('a tool that is unknown or not offered never enters the plan; the answer names what is allowed', () => {
  for (const name of ['rm_rf', 'list_tasks', 'constructor', '']) {
    const { newSteps, toolResults, finished } = plan([{ id: 'a', name, arguments: {} }]);
    expect([newSteps, finished]).toEqual([[], false]);
    expect(toolResults[0]?.content).toMatch(/^error: no such tool; allowed: .*create_task/);
  }
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

test('empty and repeated call ids get stable, distinct ones', () => {
  const { toolResults } = plan([task('', 'x'), task('same', 'y'), task('same', 'z')], [], 3);
  expect(toolResults.map((result) => result.toolCallId)).toEqual(['call_3_0', 'same', 'call_3_2']);
});

test('a plan holds at most 50 steps and no arguments without bounds', () => {
  const many = plan(Array.from({ length: 60 }, (_, index) => task(`c${index}`, `Aufgabe ${index}`)));
  expect(many.newSteps).toHaveLength(50);
  expect(many.toolResults[59]?.content).toContain('at most 50 steps');
  expect(plan([task('a', 'x'.repeat(30_000))]).toolResults[0]?.content).toContain('too long');
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

  test('is cut at a word, with a visible mark', () => {
    const summary = summaryOf(replyOf([], 'Wörter '.repeat(1_000))) ?? '';
    expect(summary.length).toBeLessThanOrEqual(2_000);
    expect(summary).toMatch(/Wörter \[…cut\]$/);
  });
});

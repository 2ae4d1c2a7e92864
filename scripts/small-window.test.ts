import { describe, expect, it } from 'vitest';
import { tokensIn, tokensOfMessage } from '#bench/tokens/count.ts';
import {
  documented,
  otherGerman,
  plainEnglish,
  plainGerman,
  proposeAll,
  typical,
  type Scenario,
} from '#bench/tokens/scenarios.ts';
import { simulateRun, typicalModel, type SimulatedRound } from '#bench/tokens/simulate.ts';
import { INPUT_MODULES } from '#domain/wire/input-modules.ts';
import type { PlannerReply } from '#domain/planner/model/planner-reply.ts';
import { renderInput } from '#domain/planner/prompt/prompt-inputs.ts';
import { FIND_TOOLS } from '#domain/planner/tools/find-tools.ts';
import { leastContextTokens, replyTokens } from '#domain/planner/model/window.ts';

const tokensOf = ({ messages, tools }: SimulatedRound): number =>
  messages.reduce((sum, message) => sum + tokensOfMessage(message), 0) + tokensIn(JSON.stringify(tools));

const LONG = 'Die Isomatten liegen bei Jonas, er bringt sie am Freitag mit. '.repeat(200);
const records = ['tasks', 'notes', 'goals', 'calendar', 'journal'].flatMap((module) =>
  [1, 2, 3].map((number) => ({
    ...{ module, table: INPUT_MODULES[module]?.table ?? module, id: `${module}-${number}` },
    fields: { title: `Titel ${number}`, description: LONG, content: LONG },
  })),
);
/** Every kind of record, all of them too long to stand there whole, and words that make many tools likely. */
const everything: Scenario = {
  ...{ name: 'everything', policy: proposeAll.policy, records },
  prompt: {
    ...typical.prompt,
    mission: {
      ...{ title: 'Alles', conceptMarkdown: LONG },
      objective: 'Plane Quiz, Rechnung, Newsletter, Gewohnheit, Ziele, Website, Tagebuch, Blog und Comic.',
    },
    inputs: records.flatMap(({ fields, ...input }) => {
      const module = INPUT_MODULES[input.module];
      return module === undefined ? [] : [renderInput(module, input, fields)];
    }),
  },
};
type Calls = readonly (readonly [name: string, args: Readonly<Record<string, unknown>>])[];
const calling = (calls: Calls): PlannerReply => ({
  ...{ content: null, finishReason: 'tool_calls', resolvedModel: null },
  ...{ totalTokens: 0, promptTokens: 0, completionTokens: 0 },
  toolCalls: calls.map(([name, args]) => ({ id: '', name, arguments: args })),
});
const find = (...modules: string[]): Calls => modules.map((module) => [FIND_TOOLS, { module }]);
const ALL_MODULES = [
  ...[
    'todo',
    'places',
    'drink',
    'food',
    'news',
    'articles',
    'journal',
    'habits',
    'goals',
    'contacts',
    'mood',
  ],
  ...['finance', 'times', 'quiz', 'invoices', 'library', 'broadcast', 'website', 'writing', 'comic', 'augur'],
];
const list = (round: number): Calls => [
  ['list_tasks', { limit: 10 + round }],
  ['list_notes', { limit: 10 + round }],
];

/** With the tokenizer: what the runner sends, by the very figures of a provider. */
describe.each([leastContextTokens(), 8_000])('in a window of %i tokens', (contextTokens) => {
  const window = { contextTokens, maxReplyTokens: 8_192 };

  it.each(
    [plainGerman, plainEnglish, otherGerman, proposeAll, typical, documented].map(
      (scenario) => [scenario.name, scenario] as const,
    ),
  )('every round of "%s" fits, with room for the reply', (_, scenario) => {
    const rounds = simulateRun(scenario, typicalModel, window);
    expect(rounds.length).toBeGreaterThan(0);
    for (const round of rounds) {
      expect(tokensOf(round) + replyTokens(window)).toBeLessThanOrEqual(contextTokens);
      expect(round.maxTokens).toBe(replyTokens(window));
      expect(JSON.stringify(round.messages)).toContain(scenario.prompt.mission.objective);
    }
  });

  it.each<[string, (round: number) => Calls]>([
    ['finds every tool there is', () => find(...ALL_MODULES)],
    ['finds one tool after the other', (round) => find(...ALL_MODULES.slice(4 * round - 4, 4 * round))],
    ['reads all it can', list],
    [
      'plans a great many steps',
      (round) =>
        Array.from({ length: replyTokens(window) / 40 }, (_, step) => [
          'create_task',
          { title: `Aufgabe ${round}-${step}` },
        ]),
    ],
    [
      'does all of it in each reply',
      (round) => [
        ...[...find(...ALL_MODULES), ...list(round)],
        ['create_note', { content: `${round} ${LONG.slice(0, replyTokens(window) * 2)}` }],
      ],
    ],
  ])('tools, prompt and history of a model that %s shrink until they fit', (_, calls) => {
    const rounds = simulateRun(everything, (round) => calling(calls(round)), window);
    expect(rounds.length).toBeGreaterThan(1);
    for (const round of rounds) {
      expect(tokensOf(round) + round.maxTokens).toBeLessThanOrEqual(contextTokens);
      expect(round.maxTokens).toBeGreaterThanOrEqual(256);
      expect(JSON.stringify(round.messages)).toContain(everything.prompt.mission.objective);
    }
  });

  it('the tools that were found last are offered, and those that work on records', () => {
    const modules = ['invoices', 'augur', 'comic', 'quiz'];
    const rounds = simulateRun(everything, (round) => calling(find(modules[round - 1] ?? '')), window);
    for (const [index, tool] of [
      ...['create_invoice', 'capture_sign', 'create_comic_story', 'create_quiz'].entries(),
    ]) {
      const names = rounds[index + 1]?.tools.map((each) => each.function.name);
      expect(names).toEqual(expect.arrayContaining([tool, 'append_to_note', 'complete_task']));
    }
  });

  it('inputs of megabytes are cut to fit, in German, Chinese and JSON', () => {
    for (const text of ['Wörter und noch mehr davon. ', '明天上午九点和王经理开会。', '{"a":[1,"x"]},']) {
      const value = text.repeat(100_000);
      const inputs = Array.from({ length: 20 }, (__, index) => ({
        ...{ module: 'notes', table: 'notes', id: `n${index}`, title: null },
        fields: [{ name: 'content', value }],
      }));
      const mission = { title: 'x', objective: value, conceptMarkdown: value };
      const [round] = simulateRun(
        { ...plainGerman, prompt: { ...plainGerman.prompt, inputs, mission } },
        typicalModel,
        window,
      );
      expect((round === undefined ? Infinity : tokensOf(round)) + replyTokens(window)).toBeLessThanOrEqual(
        contextTokens,
      );
    }
  });
});

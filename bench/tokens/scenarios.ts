import type { AgentPolicy } from '#domain/wire/agent.ts';
import { INPUT_MODULES } from '#domain/wire/input-modules.ts';
import { languageOf } from '#domain/base/language.ts';
import type { PromptInput } from '#domain/planner/prompt/planner-prompt.ts';
import { renderInput } from '#domain/planner/prompt/prompt-inputs.ts';
import type { ReadableRecord } from '#domain/run/run-inputs.ts';

/** A made-up mission at the moment of its first round. */
export interface Scenario {
  readonly name: string;
  readonly prompt: PromptInput;
  /** Null: no agent. */
  readonly policy: AgentPolicy | null;
  readonly records: readonly ReadableRecord[];
}

const NOW_MS = Date.parse('2026-11-28T07:00:00.000Z');

const record = (module: string, id: string, fields: Readonly<Record<string, unknown>>): ReadableRecord => ({
  ...{ module, table: INPUT_MODULES[module]?.table ?? module, id },
  fields,
});

/** With all records as inputs, as most missions have them. */
function scenario(
  name: string,
  mission: PromptInput['mission'],
  more: {
    readonly delimiter: string;
    readonly records?: readonly ReadableRecord[];
    readonly policy?: AgentPolicy;
    readonly agent?: PromptInput['agent'];
    readonly recentIterations?: PromptInput['recentIterations'];
  },
): Scenario {
  const records = more.records ?? [];
  return {
    name,
    policy: more.policy ?? null,
    records,
    prompt: {
      mission,
      agent: more.agent ?? null,
      inputs: records.flatMap(({ fields, ...input }) => {
        const module = INPUT_MODULES[input.module];
        return module === undefined ? [] : [renderInput(module, input, fields)];
      }),
      unreadableInputs: [],
      hasMoreRecords: false,
      cadence: { kind: 'weekly', dayOfWeek: 6, atHour: 8 },
      nextRunAtMs: NOW_MS + 7 * 86_400_000,
      maxRounds: 5,
      recentIterations: more.recentIterations ?? [],
      language: languageOf(Object.values(mission)),
      nowMs: NOW_MS,
      timeZone: 'Europe/Berlin',
      research: null,
      budget: null,
      delimiter: more.delimiter,
    },
  };
}

const ofEverything = (decision: 'propose'): AgentPolicy => ({
  ...{ tools: {}, defaultsByModule: {}, defaultForAi: decision },
});

/** No agent, no inputs, a sentence or two. */
export const plainGerman = scenario(
  'plain (de)',
  {
    title: 'Wochenrückblick',
    objective: 'Hilf mir, die Woche abzuschließen, und lege für die nächste drei Aufgaben an.',
    conceptMarkdown: null,
  },
  { delimiter: '5f1d7a8be6c20394aa17c3d9' },
);
export const plainEnglish = scenario(
  'plain (en)',
  {
    title: 'Plan my mornings',
    objective: 'Keep my mornings free for deep work, and tell me what should go.',
    conceptMarkdown: null,
  },
  { delimiter: '0b7e44d19c58fa236e90d1c4' },
);
/** Of another user; the language is that of `plainGerman`. */
export const otherGerman = scenario(
  'another plain (de)',
  {
    title: 'Garten',
    objective: 'Erinnere mich an das, was im Garten jetzt zu tun ist.',
    conceptMarkdown: 'Wir haben Beete, einen Kompost und zwei Apfelbäume.',
  },
  { delimiter: 'c97a03e5d1b8462f7704ee1a' },
);
export const proposeAll = scenario('propose-all agent (en)', plainEnglish.prompt.mission, {
  delimiter: '91aa3c05b7de6f4821c0e7d3',
  policy: ofEverything('propose'),
  agent: {
    ...{ id: 'agent-1', name: 'Mia', role: 'Planning coach' },
    ...{ systemPrompt: 'Be brief and friendly.', memory: null },
  },
});

const TASKS = ['Zelt prüfen', 'Angebot an Frau Adler schicken', 'Zahnarzt anrufen', 'Reifen wechseln'];
const NOTES = [
  'Packliste: Zelt, Kocher, zwei Schlafsäcke. Die Isomatten sind bei Jonas, er bringt sie am Freitag mit.',
  'Frau Adler möchte drei Varianten sehen, die mittlere mit Wartung. Ihr Budget ist bis Jahresende fest.',
];

/** Six inputs and three earlier runs with feedback. */
export const typical = scenario(
  'typical (de)',
  {
    title: 'Wochenplanung',
    objective: 'Plane meine Woche aus meinen Aufgaben und Notizen. Lege Termine für das Wichtigste an.',
    conceptMarkdown: 'Vormittags arbeite ich konzentriert. Termine erst ab 14 Uhr, freitags keine.',
  },
  {
    delimiter: '3e8c51f00ad9b7462c5d18ab',
    records: [
      ...TASKS.map((title, index) =>
        record('tasks', `0e3b1d52-7c1f-4a55-9d0e-00000000000${index}`, {
          ...{ title, isCompleted: index === 2, priority: index === 1 ? 'high' : 'medium' },
          dueDate: `2026-12-0${index + 1}`,
        }),
      ),
      ...NOTES.map((content, index) =>
        record('notes', `7a2f9c40-11aa-4b0b-8f6e-00000000000${index}`, {
          ...{ title: index === 0 ? 'Ausflug' : 'Angebot Adler', content },
        }),
      ),
    ],
    recentIterations: ['2026-11-07', '2026-11-14', '2026-11-21'].map((day, index) => ({
      ...{ id: `iteration-${index}`, startedAt: `${day}T07:00:00.000Z`, overallStatus: 'approved' },
      summary: 'Ich habe drei Termine für die wichtigsten Aufgaben eingeplant.',
      userFeedback: index === 2 ? 'Bitte nicht mehr als zwei Termine an einem Tag.' : '',
      plan: ['Termin: Angebot schreiben', 'Termin: Zelt prüfen'].map((summary, place) => ({
        ...{ id: `step-${index}-${place}`, summary, status: place === 0 ? 'approved' : 'rejected' },
        intent: { kind: 'toolCall', toolName: 'create_event', params: {} },
      })),
    })),
  },
);

/** The one that docs/planner.md shows: a made-up user, with something of everything. */
export const documented = scenario(
  'documented (en)',
  {
    title: 'Plan my week',
    objective: 'Plan the week from my tasks and notes. Block time for what matters most.',
    conceptMarkdown: 'Mornings are for deep work. No appointments on Friday.',
  },
  {
    delimiter: '7be4419f02c6d85a3e90b17c',
    agent: {
      ...{ id: 'agent-1', name: 'Mia', role: 'Planning coach', systemPrompt: 'Be brief and friendly.' },
      memory: 'The tent belongs to Jonas.',
    },
    policy: { tools: {}, defaultsByModule: { finance: 'deny' }, defaultForAi: 'propose' },
    records: [
      record('tasks', 'b3f0c1d2', { title: 'Check the tent', isCompleted: false, dueDate: '2026-12-03' }),
      record('notes', '91aa03ce', { title: 'Adler', content: 'Ms Adler wants three quotes by Tuesday.' }),
    ],
    recentIterations: [
      {
        ...{ id: 'iteration-1', startedAt: '2026-11-21T07:00:00.000Z', overallStatus: 'approved' },
        ...{ summary: 'Two blocks for the quote.', userFeedback: 'At most two appointments a day, please.' },
        plan: [
          {
            ...{ id: 'step-1', summary: 'Create event: Quote for Adler', status: 'approved' },
            intent: { kind: 'toolCall', toolName: 'create_event', params: {} },
          },
          {
            ...{ id: 'step-2', summary: 'Create event: Check the tent', status: 'rejected' },
            intent: { kind: 'toolCall', toolName: 'create_event', params: {} },
          },
        ],
      },
    ],
  },
);

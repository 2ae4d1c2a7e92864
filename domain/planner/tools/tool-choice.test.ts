import { describe, expect, it } from 'vitest';
import type { AgentPolicy } from '#domain/wire/agent.ts';
import { answerFind, FIND_TOOLS } from './find-tools.ts';
import { TOOL_CATALOG, toGatewayTool } from './tool-catalog.ts';
import { callableTools, chooseTools, type ToolCircumstances } from './tool-choice.ts';
import { toolRoom } from '#domain/planner/model/window.ts';
import { strictToolProblems } from '#test/support/strict-provider.ts';

const policy = (more: Partial<AgentPolicy>): AgentPolicy => ({
  ...{ tools: {}, defaultsByModule: {}, defaultForAi: 'propose' },
  ...more,
});
const names = (tools: readonly { readonly name: string }[]): string[] => tools.map(({ name }) => name);
const recordsOf = (...tables: string[]) => tables.map((table) => ({ table }));
const ROOMY = toolRoom({ contextTokens: 128_000, maxReplyTokens: 8_192 }, 0);
const choose = (more: Partial<ToolCircumstances> = {}) =>
  chooseTools({ policy: null, records: [], words: [], reads: [], earlier: [], room: ROOMY, ...more });
const offeredFor = (more: Partial<ToolCircumstances> = {}): string[] => names(choose(more).offered);
const found = (module: string) => ({
  toolCalls: [{ id: '', name: FIND_TOOLS, arguments: { module } }],
});
const CORE = ['create_task', 'create_event', 'create_note', FIND_TOOLS];

describe('tools that may be called', () => {
  it('are by the policy: deny hides, auto takes effect nowhere, propose is', () => {
    const callable = names(
      callableTools(
        policy({ tools: { create_task: 'deny', create_quiz: 'auto' }, defaultsByModule: { notes: 'deny' } }),
        recordsOf('notes', 'tasks'),
      ),
    );
    expect(callable).toEqual(expect.arrayContaining(['create_event', 'complete_task', 'log_drink']));
    for (const hidden of ['create_task', 'create_quiz', 'create_note', 'append_to_note'])
      expect(callable).not.toContain(hidden);
    expect(callableTools(policy({ defaultForAi: 'deny' }), [])).toEqual([]);
  });

  it('are never lists and readings', () =>
    expect(
      names(callableTools(policy({}), recordsOf('notes', 'tasks', 'companionGoals'))).filter((name) =>
        /^(?:list|get)_/.test(name),
      ),
    ).toEqual([]));

  it('need no id that no record of the run can supply', () => {
    const callable = callableTools(policy({}), []);
    for (const { name, parameters } of callable)
      expect([name, parameters.required.filter((required) => /Id$|_id$/.test(required))]).toEqual([
        name,
        name === 'apply_website_template' ? ['templateId'] : [],
      ]);
    const with_ = (...tables: string[]): string[] =>
      names(callableTools(null, recordsOf(...tables))).filter((name) => !names(callable).includes(name));
    expect(with_()).toEqual([]);
    expect(with_('tasks')).toEqual(['complete_task']);
    expect(with_('notes')).toEqual(['update_note', 'append_to_note', 'add_tag_to_note']);
    expect(with_('companionGoals')).toEqual(['pause_goal', 'resume_goal', 'complete_goal']);
    expect(with_('journalEntries', 'constructor', '')).toEqual([]);
  });
});

describe('the first round offers', () => {
  it('the core and the finder, in the same order and the same words for every mission', () => {
    const first = (more: Partial<ToolCircumstances>): string =>
      JSON.stringify(choose(more).offered.slice(0, CORE.length).map(toGatewayTool));
    expect(offeredFor()).toEqual(CORE);
    expect(first({ records: recordsOf('notes'), words: ['Quiz'] })).toBe(first({}));
  });

  it('what works on the records of the run', () =>
    expect(offeredFor({ records: recordsOf('notes', 'tasks') })).toEqual([
      ...CORE,
      ...['complete_task', 'update_note', 'append_to_note', 'add_tag_to_note'],
    ]));

  it.each([
    ['Erstelle ein Quiz über Vögel', 'create_quiz'],
    ['Schreibe abends in mein Tagebuch', 'create_journal_entry'],
    ['Mahne Rechnungen an', 'create_invoice'],
    ['Track my HABITS', 'create_habit'],
    ['Suggest books for the weekend', 'create_library_entry'],
  ])('what its words make likely: "%s"', (words, tool) =>
    expect(offeredFor({ words: [null, words] })).toContain(tool),
  );

  it('what the policy names one by one', () => {
    const tools = Object.fromEntries(
      ['create_quiz', 'create_habit', 'create_contact', 'create_task', 'create_note'].map((name) => [
        ...[name, 'propose' as const],
      ]),
    ) as AgentPolicy['tools'];
    const defaultsByModule = { writing: 'propose', website: 'propose', comic: 'propose' } as const;
    const offered = offeredFor({ policy: policy({ tools, defaultsByModule, defaultForAi: 'deny' }) });
    expect(offered).toEqual(
      expect.arrayContaining(['create_quiz', 'create_habit', 'create_contact', FIND_TOOLS]),
    );
    expect(offered).not.toContain('create_draft');
  });

  it('all of a few, and then nothing is to be found', () =>
    expect(
      offeredFor({ policy: policy({ tools: { create_quiz: 'propose' }, defaultForAi: 'deny' }) }),
    ).toEqual(['create_quiz']));

  it('less where there is little room', () =>
    expect(
      offeredFor({ words: ['Quiz, Rechnung, Newsletter, Gewohnheit'], room: { ...ROOMY, likely: 0 } }),
    ).toEqual(CORE));

  it('what every provider takes', () =>
    expect(
      choose({ policy: policy({}), words: ['Quiz'] }).offered.flatMap((tool) =>
        strictToolProblems(toGatewayTool(tool)),
      ),
    ).toEqual([]));
});

describe('the finder', () => {
  it.each([
    ['without records', []],
    ['with every kind of record', recordsOf('tasks', 'notes', 'companionGoals', 'events', 'journalEntries')],
  ])('reaches everything that may be called, %s', (_, records) => {
    for (const of of [null, policy({})]) {
      const { callable, offered } = choose({ policy: of, records });
      const finder = offered.find(({ name }) => name === FIND_TOOLS);
      const modules = finder?.parameters.properties['module']?.enum ?? [];
      const reached = modules.flatMap((module) =>
        offeredFor({ policy: of, records, earlier: [found(module)] }),
      );
      expect(names(callable).filter((name) => !reached.includes(name))).toEqual([]);
      // A model may also call by name what it has only read of.
      for (const name of names(callable).filter((known) => !names(offered).includes(known)))
        expect(finder?.description).toContain(name);
    }
  });

  it('hands out by module, to the end of the list', () => {
    const offered = offeredFor({ earlier: [found('website'), found('quiz')] });
    expect(offered).toEqual([...CORE, 'create_website', 'apply_website_template', 'create_quiz']);
    expect(answerFind({ module: 'website' }, callableTools(null, []))).toBe(
      'From now on you can call: create_website, apply_website_template',
    );
  });

  it('hands out what was called unasked, so that its arguments can be mended', () =>
    expect(
      offeredFor({ earlier: [{ toolCalls: [{ id: '', name: 'create_quiz', arguments: {} }] }] }),
    ).toEqual([...CORE, 'create_quiz']));

  it('hands out what was found last where there is not room for all; the rest may be called all the same', () => {
    const room = { ...ROOMY, found: 400 };
    const all = { earlier: [found('habits'), found('invoices'), found('quiz')] };
    expect(offeredFor(all).slice(CORE.length)).toEqual(['create_habit', 'create_invoice', 'create_quiz']);
    expect(offeredFor({ ...all, room }).slice(CORE.length)).toEqual(['create_habit', 'create_quiz']);
    expect(offeredFor({ earlier: [...all.earlier, found('invoices')], room }).slice(CORE.length)).toEqual([
      'create_invoice',
    ]);
    expect(names(choose({ ...all, room }).callable)).toContain('create_invoice');
    expect(offeredFor({ ...all, room: { ...ROOMY, all: 0 } })).toEqual(CORE);
  });

  it('hands out nothing that the policy denies, also when it has come to deny it since', () => {
    const denying = policy({ defaultsByModule: { quiz: 'deny' } });
    expect(offeredFor({ policy: denying, earlier: [found('quiz')] })).toEqual(CORE);
    const called = [{ toolCalls: [{ id: '', name: 'create_quiz', arguments: {} }] }];
    expect(offeredFor({ policy: denying, earlier: called })).toEqual(CORE);
    expect(answerFind({ module: 'quiz' }, callableTools(denying, []))).toMatch(/^error: [^]*modules: todo/);
    expect(JSON.stringify(choose({ policy: denying }).offered)).not.toContain('quiz');
  });

  it.each([{}, { module: 7 }, { module: 'constructor' }, { module: null }])('of %j is an error', (params) =>
    expect(answerFind(params, [...TOOL_CATALOG.values()])).toMatch(/^error: no such module/),
  );
});

import { describe, expect, test } from 'vitest';
import { IN_ORDER, MEANINGS, meaningOf, ONE_OF, tablesNeededBy } from './argument-meanings.ts';
import { INPUT_MODULES } from '#domain/wire/input-modules.ts';
import { isReadingTool, TOOL_CATALOG, type ToolDefinition } from './tool-catalog.ts';
import { proposedTools } from './tool-choice.ts';

const parameters = [...TOOL_CATALOG.values()].flatMap((tool) =>
  Object.entries(tool.parameters.properties).map(([name, property]) => ({ tool, name, property })),
);
const toolNamed = (name: string): ToolDefinition => {
  const tool = TOOL_CATALOG.get(name);
  if (tool === undefined) throw new Error(`${name} is not in the catalog`);
  return tool;
};

describe('over the whole catalog', () => {
  test.each(parameters.map((parameter) => [`${parameter.tool.name}.${parameter.name}`, parameter] as const))(
    '%s means what its description says',
    (_, { tool, name, property }) => {
      const { kind, ...meaning } = meaningOf(tool, name);
      const says = property.description;
      if (property.enum !== undefined || property.type === 'boolean') expect(kind).toBe('as-typed');
      if (property.type === 'number') expect(kind).toBe('number');
      // "Task id from list_tasks", "Id of the variant to pin": never a text of any kind.
      const isId = /(?:Id|_id)$/.test(name) && !['templateId', 'moduleId'].includes(name);
      expect(kind === 'record').toBe(isId);
      if (isId) {
        const [, lister = ''] = / from (?:list|get)_(\w+)/.exec(says) ?? [];
        const readable: Readonly<Record<string, string>> = {
          ...{ tasks: 'tasks', notes: 'notes', goals: 'companionGoals' },
        };
        expect(meaning).toMatchObject({ table: readable[lister] ?? null });
      }
      const range = /(?:^|[ ,])(-?\d+) (?:\([a-z]+\) )?to (-?\d+)\b(?! characters)/.exec(says);
      if (kind === 'number' && range !== null)
        expect(meaning).toMatchObject({ from: Number(range[1]), to: Number(range[2]) });
      if (/YYYY-MM-DD(?! or)/.test(says)) expect(kind).toBe('day');
      if (/YYYY-MM(?!-)/.test(says)) expect(kind).toBe('month');
      if (says.includes('ISO 8601')) expect(kind).toBe(says.includes('YYYY') ? 'day-or-time' : 'time');
      if (says.includes('an empty string')) expect(meaning).toMatchObject({ mayBeEmpty: true });
    },
  );

  test('no entry is left over: each is a parameter, and not one whose type says all', () => {
    const used = new Set(
      parameters
        .filter(({ property }) => property.enum === undefined)
        .flatMap(({ tool, name }) => [name, `${tool.name}.${name}`]),
    );
    expect(Object.keys(MEANINGS).filter((name) => !used.has(name))).toEqual([]);
  });

  test('what holds between arguments names arguments that are there', () => {
    const named = [
      ...Object.entries(IN_ORDER).map(([tool, names]) => ({ tool, names: [...names] })),
      ...Object.entries(ONE_OF).map(([tool, groups]) => ({ tool, names: groups.flat() })),
    ];
    for (const { tool, names } of named)
      expect(Object.keys(toolNamed(tool).parameters.properties)).toEqual(expect.arrayContaining(names));
  });

  test('every table is one that a mission may name', () => {
    const tables = new Set(Object.values(INPUT_MODULES).map(({ table }) => table));
    const named = Object.values(MEANINGS).flatMap((meaning) =>
      meaning.kind === 'record' && meaning.table !== null ? [meaning.table] : [],
    );
    expect(named.filter((table) => !tables.has(table))).toEqual([]);
  });
});

test('a tool that needs a record says of which table; null where no run can read one', () => {
  expect(tablesNeededBy(toolNamed('complete_task'))).toEqual(['tasks']);
  expect(tablesNeededBy(toolNamed('append_to_note'))).toEqual(['notes']);
  expect(tablesNeededBy(toolNamed('log_habit'))).toEqual([null]);
  expect(tablesNeededBy(toolNamed('start_timer'))).toEqual([]);
});

test('tools that only look something up are never steps, not even for an agent that proposes everything', () => {
  const everything = proposedTools({ tools: {}, defaultsByModule: {}, defaultForAi: 'propose' });
  expect(everything.filter(({ name }) => /^(?:list|get)_/.test(name))).toEqual([]);
  const left = [...TOOL_CATALOG.values()].filter((tool) => !everything.includes(tool));
  expect(left.every(isReadingTool)).toBe(true);
  expect(left.map(({ name }) => name)).toEqual(expect.arrayContaining(['list_tasks', 'consult_oracle']));
});

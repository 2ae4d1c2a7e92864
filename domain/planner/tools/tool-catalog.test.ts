import { describe, expect, test } from 'vitest';
import {
  checkArguments,
  TOOL_CATALOG,
  toGatewayTool,
  toolText,
  type ToolDefinition,
} from './tool-catalog.ts';
import { TOOL_WORDINGS } from './tool-wording.ts';
import { strictToolProblems } from '#test/support/strict-provider.ts';

const toolNamed = (name: string): ToolDefinition => {
  const tool = TOOL_CATALOG.get(name);
  if (tool === undefined) throw new Error(`${name} is not in the catalog`);
  return tool;
};

test('the catalog holds 110 tools under distinct names, each requiring only what it describes', () => {
  expect(TOOL_CATALOG.size).toBe(110);
  for (const { parameters } of TOOL_CATALOG.values())
    expect(Object.keys(parameters.properties)).toEqual(expect.arrayContaining(parameters.required));
});

describe('what is sent of the catalog', () => {
  test('is valid for providers that take a strict subset of JSON schema only', () => {
    expect([...TOOL_CATALOG.values()].flatMap((tool) => strictToolProblems(toGatewayTool(tool)))).toEqual([]);
  });

  test('says of every list what it holds; the catalog itself, by which the device goes, stays as it is', () => {
    const sentOf = (name: string): Record<string, unknown> =>
      toGatewayTool(toolNamed(name)).function.parameters['properties'] as Record<string, unknown>;
    expect(sentOf('import_articles_from_urls')['urls']).toMatchObject({ items: { type: 'string' } });
    expect(sentOf('create_invoice')['lines']).toMatchObject({ items: { type: 'object' } });
    expect(toolNamed('create_invoice').parameters.properties['lines']).not.toHaveProperty('items');
    const lines = [{ title: 'Zelt', quantity: 1, unitPrice: 99.5, note: 'x' }];
    expect(checkArguments(toolNamed('create_invoice'), { clientName: 'A', lines })).toMatchObject({
      params: { lines },
    });
  });

  test('is repaired in a later catalog, too', () => {
    const tool = toolNamed('create_task');
    const list = { type: 'array' as const, description: 'x' };
    const later = { ...tool, parameters: { ...tool.parameters, properties: { list } } };
    expect(
      strictToolProblems(toGatewayTool({ ...later, parameters: { ...later.parameters, required: [] } })),
    ).toEqual([]);
    const own = { ...list, items: { type: 'number' } };
    const { properties } = toGatewayTool({
      ...later,
      parameters: { ...later.parameters, properties: { list: own } },
    }).function.parameters;
    expect(properties).toEqual({ list: own });
  });
});

test('the gateway gets name, wording and schema, and nothing of our own', () =>
  expect(toGatewayTool(toolNamed('create_task'))).toEqual({
    type: 'function',
    function: {
      name: 'create_task',
      description: 'Adds a to-do without fixed times.',
      parameters: {
        type: 'object',
        properties: {
          title: { type: 'string' },
          dueDate: { type: 'string', description: 'YYYY-MM-DD' },
          priority: { type: 'string', enum: ['low', 'medium', 'high'] },
          description: { type: 'string' },
        },
        required: ['title'],
      },
    },
  }));

describe('the shorter wording', () => {
  const wordings = Object.entries(TOOL_WORDINGS);

  test.each(wordings)(
    'of %s names what the catalog has, and hides no required parameter',
    (name, wording) => {
      const { properties, required } = toolNamed(name).parameters;
      const hidden = Object.entries(wording.parameters ?? {}).filter(([, words]) => words === null);
      expect(Object.keys(properties)).toEqual(expect.arrayContaining(Object.keys(wording.parameters ?? {})));
      for (const [property] of hidden) expect(required).not.toContain(property);
    },
  );

  test.each(wordings)('of %s keeps types and values, and is shorter', (name) => {
    const tool = toolNamed(name);
    const sent = toGatewayTool(tool).function.parameters['properties'] as Record<string, { enum?: unknown }>;
    for (const [property, schema] of Object.entries(sent))
      expect(schema).toMatchObject({
        type: tool.parameters.properties[property]?.type,
        ...(schema.enum === undefined ? {} : { enum: tool.parameters.properties[property]?.enum }),
      });
    expect(Object.values(tool.parameters.properties).filter((schema) => 'enum' in schema)).toHaveLength(
      Object.values(sent).filter((schema) => 'enum' in schema).length,
    );
    expect(toolText(tool).length).toBeLessThan(JSON.stringify(tool).length);
  });

  test('keeps the formats that the catalog demands', () => {
    for (const [name, { parameters = {} }] of wordings)
      for (const [property, words] of Object.entries(parameters)) {
        const demanded = toolNamed(name).parameters.properties[property]?.description ?? '';
        for (const format of ['YYYY-MM-DD', '#RRGGBB', '-90 to 90', '1 to 5', '1 (bad) to 10 (great)'])
          if (demanded.includes(format)) expect(words).toContain(format);
      }
  });
});

describe('arguments', () => {
  const task = toolNamed('create_task');

  test('of the right shape pass unchanged', () => {
    const args = { title: 'x', dueDate: '2026-05-04', priority: 'high' };
    expect(checkArguments(task, args)).toEqual({ ok: true, params: args });
  });

  test('that the schema does not name are dropped', () =>
    expect(checkArguments(task, { title: 'x', assignee: 'evil', constructor: 'x' })).toEqual({
      ok: true,
      params: { title: 'x' },
    }));

  test('that are null count as left out, unless they are required', () => {
    expect(checkArguments(task, { title: 'x', dueDate: null })).toEqual({ ok: true, params: { title: 'x' } });
    expect(checkArguments(task, { title: null })).toMatchObject({ ok: false });
  });

  test.each([
    ['title', {}],
    ['title', { title: 7 }],
    ['priority', { title: 'x', priority: 'urgent-SECRET' }],
  ])('with a wrong %s are refused by its name and without the value', (name, args) => {
    const checked = checkArguments(task, args);
    if (checked.ok) throw new Error('passed');
    expect(checked.problems).toContain(`${name}: `);
    expect(checked.problems).not.toContain('SECRET');
  });

  test('as list and as object are told apart', () => {
    const page = toolNamed('update_website_block');
    expect(checkArguments(page, { blockId: 'b', patch: { title: 'x' } })).toMatchObject({ ok: true });
    expect(checkArguments(page, { blockId: 'b', patch: ['x'] })).toMatchObject({ ok: false });
    const invoice = toolNamed('create_invoice');
    expect(checkArguments(invoice, { clientName: 'x', lines: [{ title: 'y' }] })).toMatchObject({ ok: true });
    expect(checkArguments(invoice, { clientName: 'x', lines: {} })).toMatchObject({ ok: false });
  });

  test('of every tool of the catalog can be checked', () => {
    const value = { string: 'x', number: 1, boolean: true, array: [], object: {} };
    for (const tool of TOOL_CATALOG.values()) {
      const properties = Object.entries(tool.parameters.properties);
      const args = Object.fromEntries(
        properties.map(([name, property]) => [name, property.enum?.[0] ?? value[property.type]]),
      );
      expect(checkArguments(tool, args), tool.name).toEqual({ ok: true, params: args });
    }
  });
});

import { expect, it, test } from 'vitest';
import { stepSummary } from './step-summary.ts';
import { TOOL_CATALOG } from '#domain/planner/tools/tool-catalog.ts';

const summaryOf = (name: string, params: Record<string, unknown>): string => {
  const tool = TOOL_CATALOG.get(name);
  if (tool === undefined) throw new Error('no such tool');
  return stepSummary(tool, params);
};

test('what is new is told by its title', () =>
  expect(summaryOf('create_task', { title: 'Koffer packen', description: 'x' })).toBe(
    'Create task: Koffer packen',
  ));

test.each([
  ['update_note', { noteId: 'n1', title: 'Liste', content: 'Milch' }, 'Update note: Liste · content: Milch'],
  ['update_note', { noteId: 'n1', content: 'Milch' }, 'Update note: Milch'],
  ['append_to_note', { noteId: 'n1', content: 'Brot' }, 'Append to note: Brot'],
  ['add_tag_to_note', { noteId: 'n1', tag: 'wichtig' }, 'Add tag to note: wichtig'],
  [
    'add_transaction',
    { type: 'expense', amount: 250, description: 'Beratung', date: '2026-05-01' },
    'Add transaction: Beratung · type: expense · amount: 250 · date: 2026-05-01',
  ],
  [
    'add_article_highlight',
    { articleId: 'a1', text: 'Zitat', note: 'merken' },
    'Add article highlight: Zitat · note: merken',
  ],
  [
    'update_website_block',
    { blockId: 'b1', patch: { title: 'Neu', items: ['a', { ctaHref: 'https://x.example' }] } },
    'Update website block: patch: title: Neu, items: a, ctaHref: https://x.example',
  ],
  ['update_quiz', { quizId: 'q1', isArchived: true }, 'Update quiz: isArchived: true'],
])('what %s writes stands in the summary', (name, params, summary) =>
  expect(summaryOf(name, params)).toBe(summary),
);

it('is cut evenly: a long title hides no content, and no summary is long', () => {
  const summary = summaryOf('update_note', {
    noteId: 'n1',
    title: 'x '.repeat(9_000),
    content: 'Überweise 900 Euro',
  });
  expect(summary).toContain('content: Überweise 900 Euro');
  expect(summary.length).toBeLessThan(400);
  const both = summaryOf('update_note', {
    noteId: 'n',
    title: 'a '.repeat(9_000),
    content: 'b '.repeat(9_000),
  });
  expect(both).toMatch(/a a.* · content: b b/);
  expect(both.length).toBeLessThan(400);
});

it('holds everything of every tool that changes a record, whatever its fields are called', () => {
  for (const tool of TOOL_CATALOG.values()) {
    if (!/^(?:update|add|append)_/.test(tool.name)) continue;
    const texts = Object.entries(tool.parameters.properties).filter(
      ([name, { type }]) => type === 'string' && !/(?:Id|Key)$/.test(name),
    );
    const params = Object.fromEntries(texts.map(([name]) => [name, `wert-${name}`]));
    for (const [name] of texts) expect(stepSummary(tool, params)).toContain(`wert-${name}`);
  }
});

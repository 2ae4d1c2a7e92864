import { describe, expect, it } from 'vitest';
import { GRANT_PROBLEMS } from './errors.ts';
import { FAILURE_TEXTS, planText, unreadableInputsText } from './user-texts.ts';

describe('FAILURE_TEXTS', () => {
  it('has a text for every way in which a grant opens nothing', () => {
    for (const problem of GRANT_PROBLEMS) expect(FAILURE_TEXTS).toHaveProperty(`grant-${problem}`);
  });

  it.each(Object.entries(FAILURE_TEXTS))('%s says in German what happened and what comes next', (_, text) => {
    expect(text).toMatch(/^[A-ZÄÖÜ].*\.$/);
    expect(text.split(/[.:] /).length).toBeGreaterThanOrEqual(2);
    expect(text).toMatch(
      /(?<!\p{L})(öffne|erteile|schalte|richte|wende|ändere|erhöhen|du musst nichts tun|geöffneten App)(?!\p{L})/iu,
    );
  });

  it('has no two alike', () => {
    const texts = [...Object.values(FAILURE_TEXTS), planText(0), planText(1), planText(2)];
    expect(new Set(texts).size).toBe(texts.length);
  });
});

it('unreadable inputs are named by their ids', () => {
  const text = unreadableInputsText([
    { table: 'notes', id: 'n1' },
    { table: 'tasks', id: 't1' },
  ]);
  expect(text).toContain('notes:n1, tasks:t1');
});

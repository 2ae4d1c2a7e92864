import { describe, expect, it } from 'vitest';
import { GRANT_PROBLEMS } from '#domain/base/errors.ts';
import type { Notice } from './stored-round.ts';
import { UNREADABLE_REASONS } from '#domain/run/run-inputs.ts';
import {
  flaggedInputsText,
  grantEndsFirstText,
  noticeText,
  planText,
  unreadableInputsText,
} from './user-texts.ts';
import { FAILURE_TEXTS, FAILURE_TEXTS_EN } from '#domain/run/failure-texts.ts';

describe.each([
  [
    'German',
    FAILURE_TEXTS,
    /(?<!\p{L})(öffne|erteile|schalte|richte|wende|ändere|erhöhen|du musst nichts tun|geöffneten App)(?!\p{L})/iu,
    'de',
  ],
  [
    'English',
    FAILURE_TEXTS_EN,
    /(?<!\p{L})(open the mission|grant access|turn the mode|set one up|contact|change|raise|you need not do anything|app is open)(?!\p{L})/iu,
    'en',
  ],
] as const)('failures in %s', (_, failures, advice, language) => {
  it('have a text for every way in which a grant opens nothing', () => {
    for (const problem of GRANT_PROBLEMS) expect(failures).toHaveProperty(`grant-${problem}`);
  });

  it.each(Object.entries(failures))('%s says what happened and what comes next', (__, text) => {
    expect(text).toMatch(/^[A-ZÄÖÜ].*\.$/);
    expect(text.split(/[.:;] /).length).toBeGreaterThanOrEqual(2);
    expect(text).toMatch(advice);
  });

  it('are no two alike', () => {
    const texts = [...Object.values(failures), ...[0, 1, 2].map((steps) => planText(language, steps))];
    expect(new Set(texts).size).toBe(texts.length);
  });
});

it('unreadable inputs are named by their ids, each with its own reason', () => {
  const inputs = UNREADABLE_REASONS.filter((reason) => reason !== 'not-synced').map((reason, index) => ({
    table: 'notes',
    id: `n${index}`,
    reason,
  }));
  for (const language of ['de', 'en'] as const) {
    const text = unreadableInputsText(language, inputs);
    expect(new Set(text.match(/\([^()]+\)/g)).size).toBe(inputs.length);
  }
  expect(unreadableInputsText('de', [{ table: 'tasks', id: 't1', reason: 'deleted' }])).toContain(
    'tasks:t1 (gelöscht)',
  );
});

it('what devices keep to themselves is named, and nobody is sent to look for it in the app', () => {
  const goal = { table: 'companionGoals', id: 'g1', reason: 'not-synced' };
  for (const [language, told, advice] of [
    ['de', /auf dem Gerät behält: companionGoals:g1\. Du musst nichts tun\.$/, /Prüfe in der App/],
    ['en', /on the device so far: companionGoals:g1\. You need not do anything\.$/, /Check in the app/],
  ] as const) {
    expect(unreadableInputsText(language, [goal])).toMatch(told);
    expect(unreadableInputsText(language, [goal])).not.toMatch(advice);
    const [others, goals] = unreadableInputsText(language, [
      goal,
      { table: 'tasks', id: 't1', reason: 'missing' },
    ]).split('\n\n');
    expect(others).toMatch(advice);
    expect(others).not.toContain('companionGoals');
    expect(goals).toMatch(told);
  }
});

it('flagged sources are named by id, or by what they are, and long lists are cut short', () => {
  const sources = [
    { table: 'notes', id: 'n1' },
    { table: 'agents', id: 'a1' },
    { table: 'research', id: 'deep' },
  ];
  expect(flaggedInputsText('de', sources)).toContain('notes:n1, Gedächtnis des Agenten, Recherche');
  const many = Array.from({ length: 500 }, (_, index) => ({
    table: 'notes',
    id: `${'x'.repeat(900)}${index}`,
  }));
  expect(flaggedInputsText('en', many)).toMatch(/and 480 more/);
  expect(flaggedInputsText('en', many).length).toBeLessThan(2_000);
});

it('every notice is told in both languages, with its figures', () => {
  const notices: Notice[] = [
    { kind: 'content-filtered' },
    { kind: 'cut-off' },
    { kind: 'budget', usedTokens: 9_000, maxTokens: 10_000 },
    { kind: 'budget', usedTokens: 10_000, maxTokens: 10_000 },
    { kind: 'unknown-spend', estimatedTokens: 1_234 },
    { kind: 'research-failed', research: 'shallow' },
    { kind: 'research-failed', research: 'deep' },
    { kind: 'still-open' },
    { kind: 'dropped-steps', count: 1 },
    { kind: 'dropped-steps', count: 2 },
  ];
  const texts = notices.flatMap((notice) => [noticeText('de', notice), noticeText('en', notice)]);
  expect(new Set(texts).size).toBe(texts.length);
  expect(noticeText('de', { kind: 'unknown-spend', estimatedTokens: 1_234 })).toContain('1.234');
  expect(noticeText('en', { kind: 'budget', usedTokens: 9_000, maxTokens: 10_000 })).toContain(
    '9,000 of 10,000',
  );
});

it('a grant that ends first is told with both instants in the zone of the user', () =>
  expect(
    grantEndsFirstText('en', Date.UTC(2026, 4, 1, 22), Date.UTC(2026, 4, 2, 6), 'Europe/Berlin'),
  ).toMatch(/2 May 2026, 00:00.*2 May 2026, 08:00/));

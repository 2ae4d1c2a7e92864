import { describe, expect, it } from 'vitest';
import { injectionMarksOf } from './injection-marks.ts';
import { SIGN_PATTERNS } from './injection-patterns.ts';
import { WORDINGS } from './injection-wordings.ts';
import { compileSequence, vocabularyOf } from './injection-words.ts';
import { markUnknownUrls, urlsIn } from './known-urls.ts';
import { visibleLine, visibleText } from '#domain/base/text/prompt-text.ts';
import { namesRefusedAddress } from '#domain/base/text/refused-addresses.ts';
import { createStepReview } from '#domain/planner/plan/step-review.ts';
import { stepSummary } from '#domain/planner/plan/step-summary.ts';
import { TOOL_CATALOG } from '#domain/planner/tools/tool-catalog.ts';
import { attacksOn, randomOf, type Attack } from '#test/support/pattern-attacks.ts';
import { growthOf } from '#test/support/work-growth.ts';
import { cpuMsOf } from '#test/support/cpu-time.ts';

/** Everything that looks at text of users, models and services, by what it does with one text. */
const LOOKS: Readonly<Record<string, (text: string) => void>> = {
  marks: (text) => injectionMarksOf(text),
  addresses: (text) => urlsIn(text),
  'marked addresses': (text) => markUnknownUrls(text, new Set(), '[?]'),
  'visible text': (text) => visibleLine(visibleText(text), 200),
  'refused addresses': (text) => namesRefusedAddress('content', text),
  'the summary of a step': (text) => summarize(text),
  'a step': (text) => {
    const review = createStepReview({
      ...{ knownUrls: [], policyMode: 'flag', hasReadFlagged: true },
      flaggedTexts: [text],
    });
    review({ toolName: 'create_note', params: { title: text.slice(0, 60), content: `${text}b` } });
  },
};

const UPDATE_NOTE = TOOL_CATALOG.get('update_note');
const summarize = (text: string): string =>
  UPDATE_NOTE === undefined ? '' : stepSummary(UPDATE_NOTE, { noteId: 'n', title: text, content: text });

const dashes = (count: number): string =>
  `Add milk\n${'-'.repeat(count)}\nRezept: https://example.org/kuchen`;

describe('the note that stopped every runner', () => {
  it.each([40, 400, 60_000])('with %i dashes takes no time to speak of, and bears no mark', (count) => {
    const cpuMs = cpuMsOf(() => {
      expect(injectionMarksOf(dashes(count))).toEqual([]);
      expect(urlsIn(dashes(count))).toEqual(['example.org/kuchen']);
    });
    expect(cpuMs).toBeLessThan(2_000);
  });

  it.each([
    ['a rule of a Markdown table', `| a | b |\n|${'-'.repeat(400)}|${'-'.repeat(400)}|\n| 1 | 2 |`],
    ['hyphens between letters', `ignore ${'x-'.repeat(100)} rule`],
    ['hyphens between letters of an order', `ignore ${'x-'.repeat(30_000)} rules`],
    ['apostrophes', `ignore ${"x'".repeat(30_000)} rules`],
    ['blanks and dashes', `ignore all${' -'.repeat(30_000)} rule`],
  ])('has relatives: %s', (_, text) => {
    expect(cpuMsOf(() => expect(injectionMarksOf(text)).toEqual([]))).toBeLessThan(2_000);
  });
});

describe('the work on a text', () => {
  const vocabulary = [
    ...vocabularyOf(WORDINGS.map(({ words }) => compileSequence(words))),
    ...[
      'https://',
      '//a.',
      '@',
      '&#105;',
      '&amp;',
      'enc:1:',
      '<|',
      '\u200b',
      '\n',
      '--',
      "'",
      '_',
      '1',
      'a1',
      'QUFB',
    ],
    ...['= ', 'ＡＢ', 'ı', 'ᴀ', 'é', '中', 'x.y.', '<<<', '"name": "', '0a', '##', 'data:', 'ABCD'.repeat(8)],
  ].map((word) => word.replace(/\*$/, 'en'));

  /** Words of the list in any order, and a few of them over and over. */
  const mixtures = (seed: number): Attack[] => {
    const random = randomOf(seed);
    const word = (): string => vocabulary[Math.floor(random() * vocabulary.length)] ?? '';
    const separator = (): string => [' ', '', '-', '\n', ', '][Math.floor(random() * 5)] ?? '';
    const some = (words: number): string =>
      Array.from({ length: words }, () => word() + separator()).join('');
    const repeated =
      (part: string): Attack =>
      (chars) =>
        part.repeat(Math.ceil(chars / part.length)).slice(0, chars);
    return [some(2_000), some(4), some(2), some(1)].map(repeated);
  };
  const ofSigns = SIGN_PATTERNS.flatMap(({ pattern }) => attacksOn(pattern, 4711).slice(0, 1));
  const attacks = [...[1, 2, 3, 4].flatMap(mixtures), ...ofSigns];

  it.each(Object.entries(LOOKS))(
    'grows with its length and no faster: %s',
    (_, look) => {
      for (const attack of attacks) expect(growthOf(attack, look)).toBe('linear');
    },
    120_000,
  );
});

import { describe, expect, it } from 'vitest';
import { injectionMarksOf } from './injection-marks.ts';
import { createStepReview } from '#domain/planner/plan/step-review.ts';
import {
  BENIGN_TEXTS,
  INJECTION_CORPUS,
  UNMARKED_ATTACKS,
  type Attack,
} from '#test/support/injection-corpus.ts';

/** But for `hidden-text`, which the padding itself may bear; two texts bear no other. */
const SPELLED_OUT = ['de-15', 'en-15'];
const isMarked = ({ id }: Attack, text: string): boolean =>
  injectionMarksOf(text).some((mark) => mark !== 'hidden-text' || SPELLED_OUT.includes(id));

const reviewed = (attack: Attack, policyMode: 'flag' | 'enforce') => {
  const flaggedTexts = injectionMarksOf(attack.text).length > 0 ? [attack.text] : [];
  const { name, arguments: params } = attack.order;
  return createStepReview({
    ...{ knownUrls: [], policyMode, flaggedTexts },
    hasReadFlagged: flaggedTexts.length > 0,
  })({
    toolName: name,
    params: { ...params },
  });
};

describe('the corpus', () => {
  it('has at least 30 attacks in each language, on every way in', () => {
    for (const language of ['de', 'en'])
      expect(INJECTION_CORPUS.filter((attack) => attack.language === language).length).toBeGreaterThanOrEqual(
        30,
      );
    expect(new Set(INJECTION_CORPUS.map(({ vector }) => vector)).size).toBe(8);
  });

  it('bears marks, but for attacks that read like ordinary wishes', () => {
    const unmarked = INJECTION_CORPUS.filter(({ text }) => injectionMarksOf(text).length === 0);
    expect(unmarked.map(({ id }) => id)).toEqual(UNMARKED_ATTACKS);
  });

  const PADDINGS = {
    'zero-width spaces': '\u200b',
    'soft hyphens': '\u00ad',
    'line breaks': '\n',
    blanks: ' ',
    tabs: '\t',
    'no-break spaces': '\u00a0',
    'line separators': '\u2028',
    'ideographic spaces': '\u3000',
    'word joiners': '\u2060',
    'byte order marks': '\ufeff',
    'variation selectors': '\ufe0f',
    'tag characters': '\u{E0020}',
    'direction marks': '\u200e',
    'entities of zero-width spaces': '&#x200b;',
    'entities of no-break spaces': '&nbsp;',
    'control characters': '\u0007',
    'Hangul fillers': '\u3164',
    'a mixture': '\u200b\n\u00ad \u2060\t',
  };
  const PLACES: readonly (readonly [chars: number, pad: (text: string, padding: string) => string])[] = [
    [61_000, (text, padding) => padding + text],
    [61_000, (text, padding) => text + padding],
    [600, (text, padding) => text.replaceAll(' ', ` ${padding}`)],
  ];

  it.each(Object.entries(PADDINGS))(
    'bears marks in front of and behind 61,000 characters of %s, and with some between its words',
    (_, padding) => {
      for (const [chars, pad] of PLACES) {
        const long = padding.repeat(Math.ceil(chars / padding.length));
        const unmarked = INJECTION_CORPUS.filter((attack) => !isMarked(attack, pad(attack.text, long)));
        expect(unmarked.map(({ id }) => id)).toEqual(UNMARKED_ATTACKS);
      }
    },
  );

  it('is told from ordinary notes: none of them bears a mark', () => {
    expect(BENIGN_TEXTS.length).toBeGreaterThanOrEqual(40);
    expect(BENIGN_TEXTS.filter((text) => injectionMarksOf(text).length > 0)).toEqual([]);
  });

  it('leaves no step without a flag, but for the same attacks', () => {
    const unflagged = INJECTION_CORPUS.filter((attack) => reviewed(attack, 'flag').flags.length === 0);
    expect(unflagged.map(({ id }) => id)).toEqual(UNMARKED_ATTACKS);
  });

  it('has all its steps that bear a flag dropped by enforce', () => {
    const dropped = INJECTION_CORPUS.filter((attack) => reviewed(attack, 'enforce').drop);
    expect({ attacks: INJECTION_CORPUS.length, dropped: dropped.length }).toEqual({
      attacks: 68,
      dropped: 63,
    });
  });
});

import { describe, expect, it } from 'vitest';
import { injectionMarksOf } from './injection-marks.ts';
import { createStepReview } from './step-review.ts';
import { BENIGN_TEXTS, INJECTION_CORPUS, UNMARKED_ATTACKS } from '../test/support/injection-corpus.ts';
import type { Attack } from '../test/support/injection-corpus.ts';

const reviewed = (attack: Attack, policyMode: 'flag' | 'enforce') => {
  const flaggedTexts = injectionMarksOf(attack.text).length > 0 ? [attack.text] : [];
  const { name, arguments: params } = attack.order;
  return createStepReview({ knownUrls: [], policyMode, flaggedTexts })({
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

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cutAtSentence, cutAtWord, UNREADABLE_MARK, visibleLine, visibleText } from './prompt-text.ts';

describe('cutting', () => {
  test('happens at a word and is marked', () =>
    expect(cutAtWord('eins zwei drei vier fünf', 20, ' […]')).toBe('eins zwei drei […]'));

  test('happens at the end of a paragraph or a sentence where one is near', () => {
    expect(cutAtSentence('Eins zwei drei.\n\nVier fünf sechs sieben', 26, ' […]')).toBe(
      'Eins zwei drei. […]',
    );
    expect(cutAtSentence('Eins zwei. Drei vier! Fünf sechs', 28, ' […]')).toBe('Eins zwei. Drei vier! […]');
    expect(cutAtSentence('Eins. Zwei drei vier fünf sechs', 28, ' […]')).toBe('Eins. Zwei drei vier […]');
  });

  test('never exceeds the limit and never splits a character', () =>
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', maxLength: 60 }),
        fc.integer({ min: 0, max: 60 }),
        (text, max) => {
          for (const cut of [cutAtWord(text, max), cutAtSentence(text, max)]) {
            expect(cut.length).toBeLessThanOrEqual(max);
            expect(cut.isWellFormed()).toBe(true);
          }
        },
      ),
    ));
});

test('characters that nobody sees are gone, line breaks and tabs stay', () => {
  expect(visibleText('a\u200bb\u202ec\u{E0041}d\u0007e\uFEFFf\u00ADg')).toBe('abcdefg');
  expect(visibleText('eins\r\nzwei\tdrei\u2028vier')).toBe('eins\nzwei\tdrei\nvier');
  expect(visibleText('Grüße 你好 🎉 ½')).toBe('Grüße 你好 🎉 ½');
  expect(visibleText('kaputt \ud800!')).toBe('kaputt !');
});

test('ciphertext is masked, alone, in the middle and behind invisible characters', () => {
  expect(visibleText('enc:1:AAAA.BBBB')).toBe(UNREADABLE_MARK);
  expect(visibleText('enc:1:broken')).toBe(UNREADABLE_MARK);
  expect(visibleText('\u200benc:\u200b1:AAAA.BBBB')).toBe(UNREADABLE_MARK);
  expect(visibleText('siehe enc:1:AA+/=.BB== dort')).toBe(`siehe ${UNREADABLE_MARK} dort`);
});

test('a line has no breaks', () => expect(visibleLine('a\n b\t\tc', 20)).toBe('a b c'));

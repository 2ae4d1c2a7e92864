import { INJECTION_MARKS } from './injection-codes.ts';
import type { InjectionMark } from './injection-codes.ts';
import { MARK_PATTERNS } from './injection-patterns.ts';
import { encodedTexts, leetView, plainView, spacedWords } from './injection-views.ts';

/** No prompt shows more of one record. */
const MAX_CHARS = 60_000;

/**
 * The marks that a text bears, in the order of `INJECTION_MARKS`. German and English.
 *
 * @param text as stored: what is invisible counts
 */
export function injectionMarksOf(text: string): InjectionMark[] {
  const bounded = text.slice(0, MAX_CHARS);
  const encoded = encodedTexts(bounded);
  const found = new Set<InjectionMark>([
    ...(hidesText(bounded) ? ['hidden-text' as const] : []),
    ...(encoded.length > 0 ? ['encoded-payload' as const] : []),
    ...[bounded, tagCharacters(bounded), ...encoded].flatMap(visibleMarks),
  ]);
  return INJECTION_MARKS.filter((mark) => found.has(mark));
}

function visibleMarks(text: string): InjectionMark[] {
  if (text === '') return [];
  const plain = plainView(text);
  const views = [plain, leetView(plain)].filter((view) => view !== '');
  const marks = MARK_PATTERNS.flatMap(({ mark, needs, patterns }) =>
    views.some(
      (view) => (needs === undefined || needs.test(view)) && patterns.some((pattern) => pattern.test(view)),
    )
      ? [mark]
      : [],
  );
  return spacedWords(plain).some((word) => SPELLED_ORDERS.test(word)) ? [...marks, 'hidden-text'] : marks;
}

/** Worth spelling out, if one does not want to be found. */
const SPELLED_ORDERS = /ignor|disregard|instruction|anweisung|vergiss|system|prompt|passwor|override/;

/** England, Scotland and Wales are written with tag characters; nothing else in use is. */
const TAG_FLAGS = /\u{1F3F4}[\u{E0020}-\u{E007E}]{1,6}\u{E007F}/gu;
const HIDING: readonly RegExp[] = [
  /[\u{E0001}\u{E0020}-\u{E007F}]/u,
  // Overrides of the direction of writing; the isolates and marks of right-to-left texts are fine.
  /[\u202D\u202E]/u,
  // Zero-width characters inside words, again and again; a single one comes from copying.
  /(?:\p{Script=Latin}[\u200B-\u200D\u2060\uFEFF]+(?=\p{Script=Latin})[^\u200B-\u200D\u2060\uFEFF]{0,40}){3}/u,
  // Variation selectors in a row carry bytes.
  /[\uFE00-\uFE0F\u{E0100}-\u{E01EF}]{3}/u,
  /(?:display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d]))/iu,
];

const hidesText = (text: string): boolean => {
  const rest = text.replace(TAG_FLAGS, '');
  return HIDING.some((pattern) => pattern.test(rest));
};

/** What tag characters spell, in ASCII. */
const tagCharacters = (text: string): string =>
  [...text.replace(TAG_FLAGS, '').matchAll(/[\u{E0020}-\u{E007E}]/gu)]
    .map(([tag]) => String.fromCodePoint((tag.codePointAt(0) ?? 0) - 0xe0000))
    .join('');

export { INJECTION_MARKS } from './injection-codes.ts';
export type { InjectionMark } from './injection-codes.ts';

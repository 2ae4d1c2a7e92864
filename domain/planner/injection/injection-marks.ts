import { INJECTION_MARKS, type InjectionMark } from './injection-codes.ts';
import { SIGN_PATTERNS } from './injection-patterns.ts';
import { encodedTexts, plainView, readableView } from '#domain/base/text/injection-views.ts';
import { compileSequence, holdsSequence, readWords, spelledWords, vocabularyOf } from './injection-words.ts';
import { WORDINGS } from './injection-wordings.ts';

const SEQUENCES = WORDINGS.map(({ id, mark, words }) => ({ id, mark, sequence: compileSequence(words) }));
const VOCABULARY = vocabularyOf(SEQUENCES.map(({ sequence }) => sequence));

/**
 * The marks that a text bears, in the order of `INJECTION_MARKS`. German and English. Takes time in proportion to the
 * text and looks at the whole of it.
 *
 * @param text as the model sees it
 * @param raw what it was made of: what is invisible counts, though the model never sees it
 */
export function injectionMarksOf(text: string, raw: string = text): InjectionMark[] {
  const readable = readableView(text);
  const encoded = encodedTexts(readable);
  const plain = [readable, tagCharacters(raw), ...encoded].map(plainView);
  const found = new Set<InjectionMark>([
    ...(hidesText(raw) || plain.some(spellsOrders) ? ['hidden-text' as const] : []),
    ...(encoded.length > 0 ? ['encoded-payload' as const] : []),
    ...plain.flatMap(entriesIn).map(({ mark }) => mark),
  ]);
  return INJECTION_MARKS.filter((mark) => found.has(mark));
}

interface Entry {
  readonly id: string;
  readonly mark: InjectionMark;
}

/** Every entry of the two lists that a text holds; as `plainView` makes it. */
export function entriesIn(plain: string): Entry[] {
  if (plain === '') return [];
  const found = new Set<Entry>(SIGN_PATTERNS.filter(({ pattern }) => pattern.test(plain)));
  for (const words of readWords(plain, VOCABULARY))
    for (const entry of SEQUENCES)
      if (!found.has(entry) && holdsSequence(words, entry.sequence)) found.add(entry);
  return [...found];
}

const spellsOrders = (plain: string): boolean => {
  for (const word of spelledWords(plain)) if (SPELLED_ORDERS.test(word)) return true;
  return false;
};

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

const hidesText = (raw: string): boolean => {
  const rest = raw.replace(TAG_FLAGS, '');
  return HIDING.some((pattern) => pattern.test(rest));
};

/** What tag characters spell, in ASCII. */
const tagCharacters = (raw: string): string =>
  raw
    .replace(TAG_FLAGS, '')
    .replace(/[^\u{E0020}-\u{E007E}]+/gu, '')
    .replace(/./gsu, (tag) => String.fromCodePoint((tag.codePointAt(0) ?? 0) - 0xe0000));

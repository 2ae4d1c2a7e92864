import { plainView } from '#domain/base/text/injection-views.ts';
import { TOOL_CATALOG } from '#domain/planner/tools/tool-catalog.ts';

/**
 * Finds orders as sequences of words, in time in proportion to the text: it is taken apart once, and each list of words
 * knows where its words stand. No regular expression has to guess where a gap ends.
 */

export interface CompiledSequence {
  readonly parts: readonly Part[];
  /** The most words that a match can take, gaps included. */
  readonly maxWords: number;
}

interface Part {
  /** Each of them as words one behind the other. */
  readonly terms: readonly (readonly string[])[];
  /** Words that may stand between the part before and this one. */
  readonly gap: number;
}

/** @param words as in `injection-wordings.ts` */
export function compileSequence(words: string): CompiledSequence {
  // Lists at even places, between them the gaps.
  const pieces = words.split(/<(\d+)>/);
  const parts = pieces.flatMap((list, index) =>
    index % 2 === 1 ? [] : [{ terms: termsOf(list), gap: Number(pieces[index - 1] ?? 0) }],
  );
  const maxWords = parts.reduce(
    (sum, { terms, gap }) => sum + gap + Math.max(...terms.map(({ length }) => length)),
    0,
  );
  return { parts, maxWords };
}

const termsOf = (list: string): string[][] =>
  list.split('|').map((term) => (term.match(/\S+/g) ?? []).map(formOf));

/** A word of a list as it stands in plain texts; its star stays. */
const formOf = (word: string): string =>
  word.endsWith('*') ? `${plainView(word.slice(0, -1))}*` : plainView(word);

/** The words of sequences, for `readWords`: what none of them asks for is not kept. */
export function vocabularyOf(sequences: readonly CompiledSequence[]): ReadonlySet<string> {
  return new Set(sequences.flatMap(({ parts }) => parts.flatMap(({ terms }) => terms.flat())));
}

/** A piece of a text: at which of its places each word of the vocabulary stands. */
export interface ReadWords {
  readonly places: ReadonlyMap<string, readonly number[]>;
  /** By place: the words of the vocabulary that the word there is, or begins with. */
  readonly meanings: readonly (readonly string[])[];
}

/** Words that a piece holds, and how many of the end of one piece begin the next: no order is cut in two. */
export const PIECE_WORDS = 4_000;
export const OVERLAP_WORDS = 100;

/**
 * The words of a text in bounded pieces.
 *
 * @param plain as `plainView` makes it
 */
export function* readWords(plain: string, vocabulary: ReadonlySet<string>): Generator<ReadWords> {
  const known = new Map<string, readonly string[]>();
  const meaningsOf = (word: string): readonly string[] => {
    const found = known.get(word) ?? meaningsIn(word, vocabulary);
    if (known.size < PIECE_WORDS) known.set(word, found);
    return found;
  };
  let piece: (readonly string[])[] = [];
  for (const word of wordsOf(plain)) {
    piece.push(meaningsOf(word));
    if (piece.length < PIECE_WORDS) continue;
    yield placed(piece);
    piece = piece.slice(-OVERLAP_WORDS);
  }
  yield placed(piece);
}

function placed(meanings: readonly (readonly string[])[]): ReadWords {
  const places = new Map<string, number[]>();
  meanings.forEach((words, place) => {
    for (const word of words) {
      const found = places.get(word);
      if (found === undefined) places.set(word, [place]);
      else found.push(place);
    }
  });
  return { places, meanings };
}

const CHUNK = /\S+/gu;
const WORD = /[\p{L}\p{N}_@$]+(?:'[\p{L}\p{N}_@$]+)*/gu;
/** Where an address begins, by scheme, `www.`, two slashes, the `@` of a mail address or the end of a domain's name. */
const ADDRESS =
  /(?:https?|ftp):|www\.|(?<![\p{L}\p{N}:/\\])[/\\]{2}[\p{L}\p{N}]|(?<=[\p{L}\p{N}_.-])@[\p{L}\p{N}-]{1,63}\.|(?<=[\p{L}\p{N}])\.(?:com|net|org|io|ru|cn|xyz|example|test|info|biz|app|dev|site|top|tk|ly)(?![\p{L}\p{N}])/u;

/** Words one after the other; an address is the one word `@address`. */
function* wordsOf(plain: string): Generator<string> {
  for (const [chunk] of plain.matchAll(CHUNK)) {
    const address = ADDRESS.exec(chunk);
    const before = address === null ? chunk : chunk.slice(0, address.index);
    for (const [word] of before.matchAll(WORD)) {
      if (isToolName(word)) yield word;
      else yield* word.split('_');
    }
    if (address !== null) yield '@address';
  }
}

/** Longer words mean what their beginning means. */
const MAX_WORD_CHARS = 40;
const LEET: Readonly<Record<string, string>> = { 0: 'o', 3: 'e', 4: 'a', 5: 's', 7: 't', '@': 'a', $: 's' };

function meaningsIn(word: string, vocabulary: ReadonlySet<string>): readonly string[] {
  if (word === '@address') return vocabulary.has(word) ? [word] : [];
  const bounded = word.slice(0, MAX_WORD_CHARS);
  const meanings = new Set<string>();
  for (const reading of readingsOf(bounded)) {
    if (vocabulary.has(reading) && word.length <= MAX_WORD_CHARS) meanings.add(reading);
    for (let end = 1; end <= reading.length; end += 1) {
      const prefix = `${reading.slice(0, end)}*`;
      if (vocabulary.has(prefix)) meanings.add(prefix);
    }
    if (isToolName(reading)) meanings.add('@tool');
  }
  return [...meanings];
}

/** A word as it stands there and, where digits and signs stand among its letters, as the letters they look like. */
function readingsOf(word: string): string[] {
  if (!/[013457@$]/.test(word) || !/[a-z]/.test(word)) return [word];
  const letters = word.replace(/[03457@$]/g, (sign) => LEET[sign] ?? sign);
  return [word, letters.replaceAll('1', 'i'), letters.replaceAll('1', 'l')];
}

const TOOL_VERB =
  /^(?:delete|send|export|transfer|read|get|list|create|publish|log|update|add|run|fetch|http)_[a-z]{2}/;
const isToolName = (word: string): boolean => TOOL_CATALOG.has(word) || TOOL_VERB.test(word);

/** Whether the sequence stands in the words. */
export function holdsSequence({ places, meanings }: ReadWords, { parts }: CompiledSequence): boolean {
  let ends: ReadonlySet<number> | null = null;
  for (const { terms, gap } of parts) {
    const reached = new Set<number>();
    for (const term of terms) {
      for (const start of places.get(term[0] ?? '') ?? []) {
        if (ends !== null && !endsBefore(ends, start, gap)) continue;
        if (term.every((word, index) => meanings[start + index]?.includes(word) === true))
          reached.add(start + term.length - 1);
      }
    }
    if (reached.size === 0) return false;
    ends = reached;
  }
  return true;
}

function endsBefore(ends: ReadonlySet<number>, start: number, gap: number): boolean {
  for (let back = 1; back <= gap + 1; back += 1) if (ends.has(start - back)) return true;
  return false;
}

/** Words spelled letter by letter, put together again. */
export function* spelledWords(plain: string): Generator<string> {
  let letters = '';
  for (const [word] of plain.matchAll(WORD)) {
    if (/^\p{L}$/u.test(word)) {
      letters += word;
      continue;
    }
    if (letters.length >= MIN_SPELLED) yield letters;
    letters = '';
  }
  if (letters.length >= MIN_SPELLED) yield letters;
}
const MIN_SPELLED = 6;

import { injectionMarksOf } from '#domain/planner/injection/injection-marks.ts';
import { knownUrlSet, unknownUrlsIn } from '#domain/planner/injection/known-urls.ts';
import type { StepReview } from './plan.ts';
import type { PolicyMode } from './planner-settings.ts';

/** What a step may bear besides the marks of its arguments. Whatever the flag, no device carries the step out. */
export const STEP_FLAGS = [
  /** An address that stood in no unsuspected source. */
  'unknown-url',
  /** Words of it stand in data that bears marks. */
  'from-flagged-input',
  /** The run had read data with marks when the step was planned: the model may have obeyed in words of its own. */
  'beside-flagged-input',
] as const;

/**
 * Looks at the arguments of a step before it enters the plan.
 *
 * @param options.knownUrls addresses of the mission, of unsuspected inputs, of research and of answers of reading tools
 * @param options.hasReadFlagged whether the run has read data that bears marks, visible or not
 * @param options.flaggedTexts data that bears marks where the model reads it (`flaggedBlocksIn`): words of theirs in an argument say
 *   that the step was made of them
 * @returns codes, and with `policyMode` enforce whether the step is dropped: any code is reason enough, as it is for being
 *   held back otherwise
 */
export function createStepReview(options: {
  readonly knownUrls: readonly string[];
  readonly policyMode: PolicyMode;
  readonly hasReadFlagged: boolean;
  readonly flaggedTexts: readonly string[];
}): StepReview {
  const known = knownUrlSet(options.knownUrls);
  const { hasReadFlagged, policyMode } = options;
  const flaggedTexts = options.flaggedTexts.map(wordsOf).filter(({ words }) => words.size > 0);
  return ({ params }) => {
    const texts = textsIn(params);
    const names = namesIn(params);
    const isTaken = texts.some((text) => isTakenFrom(text, flaggedTexts));
    const suspicious = [
      ...injectionMarksOf([...texts, ...names].join('\n')),
      ...(isTaken ? ['from-flagged-input'] : []),
    ];
    const hasUnknownUrl = texts.some((text) => unknownUrlsIn(text, known).length > 0);
    const flags = [
      ...suspicious,
      ...(hasUnknownUrl ? ['unknown-url'] : []),
      // Also where what bears marks is invisible, and stands in no text that the model reads.
      ...(hasReadFlagged && suspicious.length === 0 ? ['beside-flagged-input'] : []),
    ];
    return { flags, drop: policyMode === 'enforce' && flags.length > 0 };
  };
}

/** Every text in the arguments. */
function textsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return isObject(value) ? Object.values(value).flatMap(textsIn) : [];
}

/** The names of nested fields: the model chooses them. */
function namesIn(value: unknown): string[] {
  if (!isObject(value)) return [];
  const own = Array.isArray(value) ? [] : Object.keys(value);
  return [...own, ...Object.values(value).flatMap(namesIn)];
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;

/** What may be taken from somewhere: two words or more, or a long one such as an id. No date, no `medium`. */
const MIN_CHARS = 8;
const MIN_ID_CHARS = 16;
/** Short words are everybody's. Endings change, so the beginning of a long one counts. */
const STEM_CHARS = 6;
/** Of the long words of a text, so that one ordinary word in a long description says nothing. */
const TELLING_SHARE = 1 / 3;

/** A text by its words, so that comparing two takes time in proportion to both. */
interface Words {
  readonly words: ReadonlySet<string>;
  /** Each word with the next one. */
  readonly pairs: ReadonlySet<string>;
  /** How long words begin. */
  readonly stems: ReadonlySet<string>;
  /** At least two with letters, and enough of them to tell something. */
  readonly isTelling: boolean;
}

/**
 * A text is taken from a source if it stands there (each two of its words one behind the other), or if it shares enough
 * of its long words with it.
 */
function isTakenFrom(text: string, sources: readonly Words[]): boolean {
  if (sources.length === 0) return false;
  const { words, pairs, stems, isTelling } = wordsOf(text);
  if (!isTelling) return false;
  const standsIn = (source: Words): boolean =>
    pairs.size === 0 ? isSubset(words, source.words) : isSubset(pairs, source.pairs);
  return sources.some((source) => standsIn(source) || sharesStems(stems, source.stems));
}

const isSubset = (part: ReadonlySet<string>, whole: ReadonlySet<string>): boolean =>
  [...part].every((item) => whole.has(item));

function sharesStems(stems: ReadonlySet<string>, source: ReadonlySet<string>): boolean {
  const shared = [...stems].filter((stem) => source.has(stem)).length;
  return shared > 0 && shared >= stems.size * TELLING_SHARE;
}

function wordsOf(text: string): Words {
  const words =
    text
      .normalize('NFKC')
      .toLowerCase()
      .match(/[\p{L}\d]+/gu) ?? [];
  const longOnes = words.filter((word) => LONG_WORD.test(word));
  return {
    words: new Set(words),
    pairs: new Set(words.slice(1).map((word, index) => `${words[index] ?? ''} ${word}`)),
    stems: new Set(longOnes.map((word) => word.slice(0, STEM_CHARS))),
    isTelling:
      words.some(({ length }) => length >= MIN_ID_CHARS) ||
      (words.join(' ').length >= MIN_CHARS &&
        words.some((word) => /\p{L}{3}/u.test(word)) &&
        words.filter((word) => /\p{L}{2}/u.test(word)).length >= 2),
  };
}
const LONG_WORD = /^\p{L}{6}/u;

import { injectionMarksOf } from './injection-marks.ts';
import { knownUrlSet, unknownUrlsIn } from './known-urls.ts';
import type { StepReview } from './plan.ts';
import type { PolicyMode } from './planner-settings.ts';

/** What a step may bear besides the marks of its arguments. Whatever the flag, no device carries the step out. */
export const STEP_FLAGS = [
  /** An address that stood in no unsuspected source. */
  'unknown-url',
  /** Words of it stand in data that bears marks. */
  'from-flagged-input',
  /** The model had read data with marks when it planned the step: it may have obeyed in words of its own. */
  'beside-flagged-input',
] as const;

/**
 * Looks at the arguments of a step before it enters the plan.
 *
 * @param options.knownUrls addresses of the mission, of unsuspected inputs, of research and of answers of reading tools
 * @param options.flaggedTexts data that bears marks (`flaggedBlocksIn`): words of theirs in an argument say
 *   that the step was made of them
 * @returns codes, and with `policyMode` enforce whether the step is dropped: any code is reason enough, as it is for being
 *   held back otherwise
 */
export function createStepReview(options: {
  readonly knownUrls: readonly string[];
  readonly policyMode: PolicyMode;
  readonly flaggedTexts?: readonly string[];
}): StepReview {
  const known = knownUrlSet(options.knownUrls);
  const { flaggedTexts: readTexts = [], policyMode } = options;
  const flaggedTexts = readTexts.map(bareWords).filter((text) => text !== '');
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
      // Also where the text that bears marks has no words, such as one of invisible characters.
      ...(readTexts.length > 0 && suspicious.length === 0 ? ['beside-flagged-input'] : []),
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
const TELLING = /\p{L}{3}.* .*\p{L}{2}|[\p{L}\d]{16}/u;
const MIN_CHARS = 10;
const MAX_WORDS = 2_000;

/** A text is taken from a source if it stands there whole, or if it shares enough of its long words with it. */
function isTakenFrom(text: string, sources: readonly string[]): boolean {
  if (sources.length === 0) return false;
  const bare = bareWords(text);
  if (bare.length < MIN_CHARS || !TELLING.test(bare.trim())) return false;
  return sources.some((source) => source.includes(bare) || sharesWords(bare, source));
}

/** Short words are everybody's. Endings change, so the beginning of a long one counts. */
const STEM_CHARS = 6;
const STEMS = new RegExp(`(?<= )\\p{L}{${STEM_CHARS}}`, 'gu');
/** Of the long words of a text, so that one ordinary word in a long description says nothing. */
const TELLING_SHARE = 1 / 3;

function sharesWords(bare: string, source: string): boolean {
  const stems = [...new Set(bare.match(STEMS)?.slice(0, MAX_WORDS))];
  const shared = stems.filter((stem) => source.includes(` ${stem}`));
  return shared.length > 0 && shared.length >= stems.length * TELLING_SHARE;
}

/** Lower-case words between single blanks, a blank at both ends; empty for a text without words. */
function bareWords(text: string): string {
  const words =
    text
      .normalize('NFKC')
      .toLowerCase()
      .match(/[\p{L}\d]+/gu) ?? [];
  return words.length === 0 ? '' : ` ${words.join(' ')} `;
}

import { z } from 'zod';
import { visibleLine } from '#domain/base/text/prompt-text.ts';
import type { ResearchKind } from './run.ts';

/** What research brought for the prompt: quoted there as untrusted, bounded data. */
export interface ResearchNote {
  readonly kind: ResearchKind;
  /** `failed`: no results; model and user are told so. */
  readonly outcome: 'done' | 'failed';
  /** Plain text, bounded; empty when failed. */
  readonly text: string;
  /** Every URL that the results name as a source. */
  readonly urls: readonly string[];
}

/** A note as it is kept, encrypted, until the run ends. */
export const researchNoteSchema: z.ZodType<ResearchNote> = z.object({
  kind: z.enum(['shallow', 'deep']),
  outcome: z.enum(['done', 'failed']),
  text: z.string(),
  urls: z.array(z.string()),
});

/** What stands for results that did not come. */
export const failedResearch = (kind: ResearchKind): ResearchNote => ({
  ...{ kind, outcome: 'failed', text: '', urls: [] },
});

interface MissionWords {
  readonly title: string | null;
  readonly objective: string | null;
  readonly conceptMarkdown: string | null;
}

/** Beginnings of words, as the web app matches them, so that a mission researches here and there alike. */
const SHALLOW = [
  ...['recherche', 'recherchier', 'hintergrundrecherche', 'research'],
  ...['news', 'finde', 'suche', 'aktuelle', 'neueste', 'today', 'histor'],
];
/**
 * The words of docs/platform.md section 12 with their German endings; a deep task costs credits, so nothing else opts into one.
 */
const DEEP = [
  ['deep', 'research'],
  ['tiefe', 'recherche'],
  ['umfassende', 'recherche'],
  ['hintergrundrecherche'],
  ['deep', 'dive'],
];
const ENDINGS: ReadonlySet<string> = new Set(['', 'm', 'n', 'r', 's']);

const WITHOUT: ReadonlySet<string> = new Set('ohne kein keine keinen keiner keinerlei no without'.split(' '));
const NOT: ReadonlySet<string> = new Set(["don't", 'never', 'nicht', 'nie', 'not']);
const ONLY: ReadonlySet<string> = new Set(['nur', 'only', 'bloß']);

const isResearch = (word = ''): boolean => /recherchen?$|^recherchier|^research/.test(word);
/** Between "keine" and "Recherche". "Keine Zeit für Recherche" declines none, nor does "keine Idee, recherchiere". */
const mayStandBetween = (word = ''): boolean => /e[nrs]?$|^(?:web|online|internet|zu)$/.test(word);

/** Words in lower case, and the ends of sentences; letters, digits and underscores make a word, as for the web app. */
const wordsOf = (text: string): string[] =>
  text
    .normalize('NFC')
    .toLowerCase()
    .replaceAll('’', "'")
    .match(/[\p{L}\p{N}_']+|[.!?;:]/gu) ?? [];

/** "Ohne Recherche", "keine weitere Internetrecherche", "bitte nicht recherchieren"; not "nicht ohne Recherche". */
const optsOut = (words: readonly string[]): boolean =>
  words.some((word, index) => {
    const [before = '', next = '', afterNext = ''] = [words[index - 1], words[index + 1], words[index + 2]];
    if (NOT.has(word)) return isResearch(next) || (/^recherchier/.test(before) && !ONLY.has(next));
    if (!WITHOUT.has(word) || NOT.has(before)) return false;
    const isNoun = /recherchen?$|^research$|^recherchieren$/.test(afterNext);
    return isResearch(next) || (mayStandBetween(next) && isNoun);
  });

const isDeep = (words: readonly string[]): boolean =>
  words.some((_, index) =>
    DEEP.some((phrase) =>
      phrase.every((part, place) => {
        const word = words[index + place] ?? '';
        return word.startsWith(part) && ENDINGS.has(word.slice(part.length));
      }),
    ),
  );

/**
 * Which research the mission's own words opt into (docs/platform.md section 12), of what the server offers. Deep words win; where
 * deep research is off they count for what they are without "deep". "Ohne Recherche" anywhere wins over all of them.
 *
 * @returns null for none
 */
export function researchKindOf(
  { objective, conceptMarkdown }: Omit<MissionWords, 'title'>,
  offered: { readonly shallow: boolean; readonly deep: boolean },
): ResearchKind | null {
  const words = wordsOf(`${objective ?? ''}\n${conceptMarkdown ?? ''}`);
  if (optsOut(words)) return null;
  if (offered.deep && isDeep(words)) return 'deep';
  const isShallow = words.some((word) => SHALLOW.some((beginning) => word.startsWith(beginning)));
  return offered.shallow && isShallow ? 'shallow' : null;
}

/** A search takes few words; a deep task is a question. */
const MAX_QUERY_CHARS: Readonly<Record<ResearchKind, number>> = { shallow: 300, deep: 1_000 };

/**
 * What the research service is asked: the mission's title and objective, and nothing of its records.
 *
 * @returns one line without ciphertext, at most 300 or 1,000 characters; empty when there is nothing to ask
 */
export function researchQueryOf(
  kind: ResearchKind,
  { title, objective, conceptMarkdown }: MissionWords,
): string {
  const asked = (objective ?? '').trim() === '' ? conceptMarkdown : objective;
  const parts = [title, asked].map((part) => (part ?? '').trim()).filter((part) => part !== '');
  return visibleLine(parts.join(': '), MAX_QUERY_CHARS[kind]);
}

import { z } from 'zod';
import { visibleLine } from './prompt-text.ts';
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

/**
 * The words of contract section 12 as whole words, so that neither "Newsletter" nor "Versuche" is one; German endings
 * belong to the word. "Hintergrundrecherche" is here as well: where deep research is off, it is research all the same.
 */
const SHALLOW =
  /(?<![\p{L}\p{N}_])(?:(?:hintergrund)?recherchen?|research|news|aktuelle[mnrs]?|neueste[mnrs]?|finde|suche)(?![\p{L}\p{N}_])/iu;
const DEEP =
  /(?<![\p{L}\p{N}_])(?:deep[\s-]+research|(?:tiefe|umfassende)[mnrs]?\s+recherchen?|hintergrundrecherchen?|deep[\s-]+dives?)(?![\p{L}\p{N}_])/iu;

/**
 * Which research the mission's own words opt into (contract section 12), of what the server offers. Deep words win; where
 * deep research is off they count for what they are without "deep".
 *
 * @returns null for none
 */
export function researchKindOf(
  { objective, conceptMarkdown }: Omit<MissionWords, 'title'>,
  offered: { readonly shallow: boolean; readonly deep: boolean },
): ResearchKind | null {
  const words = `${objective ?? ''}\n${conceptMarkdown ?? ''}`.normalize('NFC');
  if (offered.deep && DEEP.test(words)) return 'deep';
  return offered.shallow && SHALLOW.test(words) ? 'shallow' : null;
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

import { injectionMarksOf } from './injection-marks.ts';
import { knownUrlSet, urlsIn } from './known-urls.ts';
import type { StoredIteration } from './mission.ts';
import { renderHistory, SHOWN_ITERATIONS } from './prompt-history.ts';
import { evenShare } from './prompt-inputs.ts';
import type { ResolvedInput } from './prompt-inputs.ts';
import type { ResearchNote } from './research.ts';

/** A record, or another source of the prompt, that bears marks of injected instructions. */
export interface FlaggedInput {
  /** `iterations` and `research` besides the tables of records. */
  readonly table: string;
  readonly id: string;
  /** Codes of `INJECTION_MARKS`. */
  readonly marks: string[];
}

/** Everything in a prompt that was read rather than set by the user for this mission. */
export interface PromptSources {
  readonly mission: {
    readonly title: string | null;
    readonly conceptMarkdown: string | null;
    readonly objective: string | null;
  };
  readonly agent: {
    readonly id: string;
    readonly systemPrompt: string | null;
    readonly memory: string | null;
  } | null;
  readonly inputs: readonly ResolvedInput[];
  readonly research: ResearchNote | null;
  readonly recentIterations: readonly StoredIteration[];
}

interface Source {
  readonly table: string;
  readonly id: string;
  readonly text: string;
}

const sourcesOf = (sources: PromptSources): Source[] => [
  ...(sources.agent === null
    ? []
    : [{ table: 'agents', id: sources.agent.id, text: sources.agent.memory ?? '' }]),
  ...sources.recentIterations.slice(-SHOWN_ITERATIONS).map((iteration) => ({
    table: 'iterations',
    id: iteration.id,
    text: renderHistory([iteration], 'de', null),
  })),
  ...(sources.research === null
    ? []
    : [{ table: 'research', id: sources.research.kind, text: sources.research.text }]),
  ...sources.inputs.map(({ table, id, title, fields }) => ({
    table,
    id,
    text: [title ?? '', ...fields.map(({ value }) => value)].join('\n'),
  })),
];

/** At least as much of each source as a prompt shows of it, and at least as many sources. */
const MAX_SCANNED_CHARS = 60_000;
const MAX_SCANNED_SOURCES = 120;

/** The sources that bear marks, in the order of the prompt. */
export function flaggedInputsOf(sources: PromptSources): FlaggedInput[] {
  const scanned = sourcesOf(sources).slice(0, MAX_SCANNED_SOURCES);
  const lengths = scanned.map(({ text }) => text.length);
  const share = evenShare(lengths, MAX_SCANNED_CHARS);
  return scanned.flatMap(({ table, id, text }) => {
    const marks = injectionMarksOf(text.slice(0, share));
    return marks.length === 0 ? [] : [{ table, id, marks }];
  });
}

/**
 * The blocks of data of a run that bear marks, for `createStepReview`: of its prompt, and of the answers of its reading
 * tools.
 *
 * @param texts messages and tool answers, each with any number of blocks
 * @param delimiter of the run
 */
export const flaggedBlocksIn = (texts: readonly string[], delimiter: string): string[] =>
  texts
    .flatMap((text) => text.split(`<<<${delimiter} `).slice(1))
    .map((opened) => opened.slice(opened.indexOf('\n') + 1).split(`\n${delimiter}>>>`)[0] ?? '')
    .filter((block) => injectionMarksOf(block).length > 0);

/**
 * Addresses that a plan may name without a mark: those of the mission, the persona, the user's feedback, and of every
 * source that bears no mark. What earlier plans named is not among them: it may have come from anywhere.
 */
export function knownUrlsOf(sources: PromptSources, flagged: readonly FlaggedInput[]): string[] {
  const { mission, agent, research, recentIterations } = sources;
  const own = [mission.title, mission.objective, mission.conceptMarkdown, agent?.systemPrompt];
  const unsuspected = sourcesOf(sources).filter((source) => !isFlagged(source, flagged));
  const feedback = recentIterations.map((iteration) => iteration['userFeedback']);
  const read = unsuspected.filter(({ table }) => table !== 'iterations').map(({ text }) => text);
  const ofResearch = unsuspected.some(({ table }) => table === 'research') ? (research?.urls ?? []) : [];
  const texts = [...own, ...feedback, ...read].filter((text) => typeof text === 'string');
  return [...knownUrlSet([...texts.flatMap(urlsIn), ...ofResearch])];
}

const isFlagged = (source: Source, flagged: readonly FlaggedInput[]): boolean =>
  flagged.some(({ table, id }) => table === source.table && id === source.id);

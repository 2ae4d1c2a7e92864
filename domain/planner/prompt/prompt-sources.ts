import type { ChatMessage } from '#domain/planner/plan/conversation.ts';
import {
  dataBlocksIn,
  jsonIn,
  outsideDataBlocks,
  textsIn,
  type DataBlock,
} from '#domain/planner/plan/data-block.ts';
import { injectionMarksOf } from '#domain/planner/injection/injection-marks.ts';
import { knownUrlSet, urlsIn } from '#domain/planner/injection/known-urls.ts';
import type { StoredIteration } from '#domain/wire/iteration.ts';
import type { FlaggedInput } from '#domain/planner/plan/stored-round.ts';
import { rawFeedback, rawHistory, shownFeedback, shownIterations, withFeedback } from './prompt-history.ts';
import type { ResolvedInput, UnreadableInput } from './prompt-inputs.ts';
import type { ResearchNote } from '#domain/run/research.ts';

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
  readonly unreadableInputs: readonly UnreadableInput[];
  readonly research: ResearchNote | null;
  readonly recentIterations: readonly StoredIteration[];
}

/** Of the blocks that are no inputs; those have labels of three parts, with slashes between them. */
export const DATA_LABELS = {
  feedback: 'feedback',
  memory: 'memory',
  history: 'earlier runs',
  unreadable: 'unreadable inputs',
  research: 'research',
} as const;

/** A prompt as the model sees it. */
export interface ShownPrompt {
  readonly messages: readonly ChatMessage[];
  readonly delimiter: string;
}

/** What a part of a block was made of. */
interface Origin {
  readonly table: string;
  readonly id: string;
  /** As stored: what is invisible in it shows in no prompt, and counts all the same. */
  readonly raw: string;
}

interface ShownSource extends Origin {
  /** With the record's name, which is free text as well. */
  readonly shown: string;
  /** What may make an address known: no names. */
  readonly body: string;
}

/** The sources of each block, in the order of the prompt, with what it shows of them. */
function shownSources(sources: PromptSources, { messages, delimiter }: ShownPrompt): ShownSource[][] {
  const origins = originsOf(sources);
  const inputs = [...sources.inputs.map(originOfInput)];
  const blocks = messages.flatMap(({ content }) => dataBlocksIn(content ?? '', delimiter));
  return blocks.map((block) => {
    const known = origins[block.label];
    // Inputs stand in their order, the last ones may be missing.
    const [origin] = known === undefined ? inputs.splice(0, 1) : [];
    if (origin !== undefined) return [{ ...origin, shown: textOfBlock(block), body: block.body }];
    return known === undefined ? [] : partsOf(block, known);
  });
}

interface Origins {
  /** Between the parts of the block; null where it has but one. */
  readonly separator: string | null;
  readonly origins: readonly Origin[];
}

function originsOf({
  agent,
  recentIterations,
  research,
  unreadableInputs,
}: PromptSources): Readonly<Record<string, Origins>> {
  return {
    [DATA_LABELS.feedback]: {
      separator: '\n',
      origins: withFeedback(recentIterations).map((iteration) => ({
        ...{ table: 'iterations', id: iteration.id, raw: rawFeedback(iteration) },
      })),
    },
    [DATA_LABELS.memory]: {
      separator: null,
      origins: agent === null ? [] : [{ table: 'agents', id: agent.id, raw: agent.memory ?? '' }],
    },
    [DATA_LABELS.history]: {
      separator: '\n\n',
      origins: shownIterations(recentIterations).map((iteration) => ({
        table: 'iterations',
        id: iteration.id,
        raw: rawHistory(iteration),
      })),
    },
    [DATA_LABELS.unreadable]: {
      separator: '\n',
      origins: unreadableInputs.map(({ module, table, id }) => ({
        table,
        id,
        raw: `${module}/${table}/${id}`,
      })),
    },
    [DATA_LABELS.research]: {
      separator: null,
      origins: research === null ? [] : [{ table: 'research', id: research.kind, raw: research.text }],
    },
  };
}

const originOfInput = ({ module, table, id, title, fields }: ResolvedInput): Origin => ({
  table,
  id,
  raw: [module, table, id, title ?? '', ...fields.map(({ value }) => value)].join('\n'),
});

/** With the label, where it names a record: ids are free text. */
function textOfBlock(block: DataBlock): string {
  const { label, body } = block;
  if (label.includes('/')) return `${label}\n${body}`;
  const json = jsonIn(block);
  return json === null ? body : textsIn(json);
}

function partsOf({ label, body }: DataBlock, { separator, origins }: Origins): ShownSource[] {
  const parts = separator === null ? [body] : body.split(separator);
  return origins.flatMap((origin, index) => {
    const shown = parts[index];
    if (shown === undefined) return [];
    return [{ ...origin, shown, body: label === DATA_LABELS.unreadable ? '' : shown }];
  });
}

/**
 * The sources that bear marks, in the order of the prompt: by the very text that it shows of them.
 *
 * @param shown the prompt that was built of the sources
 */
export const flaggedInputsOf = (sources: PromptSources, shown: ShownPrompt): FlaggedInput[] =>
  shownSources(sources, shown).flatMap(flaggedParts);

function flaggedParts(parts: readonly ShownSource[]): FlaggedInput[] {
  const flagged = parts.flatMap(({ table, id, shown, raw }) =>
    flagOf({ table, id }, injectionMarksOf(shown, raw)),
  );
  if (flagged.length > 0 || parts.length < 2) return flagged;
  // An order may be spread over the parts of a block.
  const marks = injectionMarksOf(parts.map(({ shown }) => shown).join('\n'));
  return parts.flatMap(({ table, id }) => flagOf({ table, id }, marks));
}

const flagOf = (source: Pick<Origin, 'table' | 'id'>, marks: string[]): FlaggedInput[] =>
  marks.length === 0 ? [] : [{ ...source, marks }];

/**
 * The blocks of data of a run that bear marks, for `createStepReview`: of its prompt, and of the answers of its reading
 * tools. What is invisible has been taken out of them, so that a source may bear marks that none of them does.
 *
 * @param texts messages and tool answers, each with any number of blocks
 * @param delimiter of the run
 */
export const flaggedBlocksIn = (texts: readonly string[], delimiter: string): string[] =>
  texts
    .flatMap((text) => dataBlocksIn(text, delimiter))
    .map(textOfBlock)
    .filter((block) => injectionMarksOf(block).length > 0);

/**
 * Addresses that a plan may name without a mark, as far as the prompt shows them: those of the mission and the persona,
 * of the user's feedback, and of every source that bears no mark. What earlier plans named is not among them: it may have
 * come from anywhere. Nor is what was cut off: no model read it.
 */
export function knownUrlsOf(
  sources: PromptSources,
  shown: ShownPrompt,
  flagged: readonly FlaggedInput[],
): string[] {
  const own = shown.messages.map(({ content }) => outsideDataBlocks(content ?? '', shown.delimiter));
  const unsuspected = shownSources(sources, shown)
    .flat()
    .filter((source) => !isFlagged(source, flagged));
  const read = unsuspected.filter(({ table }) => table !== 'iterations').map(({ body }) => body);
  const ofRuns = new Set(
    unsuspected.flatMap(({ table, body }) => (table === 'iterations' ? urlsIn(body) : [])),
  );
  const feedback = shownIterations(sources.recentIterations)
    .flatMap((iteration) => urlsIn(shownFeedback(iteration)))
    .filter((url) => ofRuns.has(url));
  return [...knownUrlSet([...[...own, ...read].flatMap(urlsIn), ...feedback])];
}

const isFlagged = (source: Pick<Origin, 'table' | 'id'>, flagged: readonly FlaggedInput[]): boolean =>
  flagged.some(({ table, id }) => table === source.table && id === source.id);

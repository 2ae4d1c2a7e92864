import { dataBlocksIn, jsonIn, textsIn } from '#domain/planner/plan/data-block.ts';
import { injectionMarksOf } from '#domain/planner/injection/injection-marks.ts';
import { urlsIn } from '#domain/planner/injection/known-urls.ts';
import type { ToolResult } from '#domain/planner/plan/plan.ts';
import type { FlaggedInput } from '#domain/planner/plan/stored-round.ts';
import { tableReadBy } from './read-tools.ts';
import type { ReadableRecord } from '#domain/run/run-inputs.ts';

/** What the answers of reading tools brought into the conversation, beside the prompt. */
export interface ReadSources {
  /** Records whose shown texts bear marks of injected instructions. */
  readonly flaggedInputs: FlaggedInput[];
  /** Addresses in the answers, but for those of flagged records: a plan may name them without a mark. */
  readonly knownUrls: string[];
}

/** What an answer shows of one record. */
interface Entry {
  readonly table: string;
  readonly id: string;
  readonly text: string;
}

/**
 * @param results answers of one round; those of other tools are passed over
 * @param delimiter of the run: the answers stand in its blocks; without one there are none
 */
export function readSources(
  results: readonly ToolResult[],
  records: readonly ReadableRecord[],
  delimiter: string | null,
): ReadSources {
  const entries = delimiter === null ? [] : results.flatMap((result) => entriesOf(result, delimiter));
  const rawOf = new Map(records.map((record) => [`${record.table} ${record.id}`, textsIn(record.fields)]));
  const flagged = entries
    .map((entry) => ({ ...entry, marks: marksOf(entry, rawOf.get(`${entry.table} ${entry.id}`)) }))
    .filter(({ marks }) => marks.length > 0);
  const suspected = new Set(flagged.flatMap(({ text }) => urlsIn(text)));
  const urls = entries.flatMap(({ text }) => urlsIn(text));
  return {
    flaggedInputs: flagged.map(({ table, id, marks }) => ({ table, id, marks })),
    knownUrls: [...new Set(urls)].filter((url) => !suspected.has(url)),
  };
}

const marksOf = ({ text }: Entry, raw: string = text): string[] => injectionMarksOf(text, raw);

function entriesOf({ name, content }: ToolResult, delimiter: string): Entry[] {
  const table = tableReadBy(name);
  if (table === null) return [];
  return dataBlocksIn(content, delimiter)
    .flatMap((block) => recordsIn(jsonIn(block)))
    .map((record) => ({ table, id: record.id, text: textsIn(record) }));
}

/** Every object that names a record by its id. */
function recordsIn(value: unknown): { readonly id: string }[] {
  if (typeof value !== 'object' || value === null) return [];
  if ('id' in value && typeof value.id === 'string') return [{ ...value, id: value.id }];
  return Object.values(value).flatMap(recordsIn);
}

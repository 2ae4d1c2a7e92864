import { injectionMarksOf } from './injection-marks.ts';
import { urlsIn } from './known-urls.ts';
import type { ToolResult } from './plan.ts';
import type { FlaggedInput } from './prompt-sources.ts';
import { tableReadBy } from './read-tools.ts';
import type { ReadableRecord } from './readable-record.ts';

/** What the answers of reading tools brought into the conversation, beside the prompt. */
export interface ReadSources {
  /** Records of the kinds that were read and bear marks of injected instructions. */
  readonly flaggedInputs: FlaggedInput[];
  /** Addresses in the answers, but for those of flagged records: a plan may name them without a mark. */
  readonly knownUrls: string[];
}

/** @param results answers of one round; those of other tools are passed over */
export function readSources(results: readonly ToolResult[], records: readonly ReadableRecord[]): ReadSources {
  const answers = results.filter(({ name }) => tableReadBy(name) !== null);
  const tables = new Set(answers.map(({ name }) => tableReadBy(name)));
  // Every answer names its records by id: what was not shown is not searched, for there may be a thousand of them.
  const isShown = ({ id }: ReadableRecord): boolean =>
    answers.some(({ content }) => content.includes(JSON.stringify(id)));
  const flagged = records
    .filter((record) => tables.has(record.table) && isShown(record))
    .map((record) => ({ record, marks: injectionMarksOf(textOfRecord(record)) }))
    .filter(({ marks }) => marks.length > 0);
  const suspected = new Set(flagged.flatMap(({ record }) => urlsIn(textOfRecord(record))));
  const urls = answers.flatMap(({ content }) => urlsIn(content));
  return {
    flaggedInputs: flagged.map(({ record: { table, id }, marks }) => ({ table, id, marks })),
    knownUrls: [...new Set(urls)].filter((url) => !suspected.has(url)),
  };
}

const textOfRecord = ({ fields }: ReadableRecord): string =>
  Object.values(fields)
    .filter((value) => typeof value === 'string')
    .join('\n');

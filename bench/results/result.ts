import { z } from 'zod';

/** A text, one figure, or one of each turn: the least, the median and the most of those are shown. */
const cell = z.union([z.string(), z.number(), z.array(z.number()).min(1).readonly()]);
export type Cell = z.output<typeof cell>;

const table = z
  .object({
    title: z.string(),
    header: z.array(z.string()).readonly(),
    rows: z.array(z.array(cell).readonly()).readonly(),
  })
  .readonly();
export type Table = z.output<typeof table>;

/** What was to be reached, and what was. */
const aim = z
  .object({
    what: z.string(),
    found: z.number(),
    atMost: z.number().optional(),
    atLeast: z.number().optional(),
  })
  .readonly();
export type Aim = z.output<typeof aim>;

/** A picture of columns of a table; the first one says what each row is. */
const plot = z
  .object({
    /** Of its file. */
    name: z.string().regex(/^[a-z0-9-]+$/),
    /** Which of the part's tables. */
    table: z.int().nonnegative(),
    kind: z.enum(['line', 'bar']),
    /** What the columns count. */
    unit: z.string(),
    columns: z.array(z.int().positive()).min(1).readonly(),
    logarithmic: z.boolean().optional(),
  })
  .readonly();
export type Plot = z.output<typeof plot>;

const settings = z.record(z.string(), z.union([z.string(), z.number()])).readonly();

/** Small sizes show only that a part works. */
export interface PartOptions {
  readonly isSmall: boolean;
}

/** What a part found. */
export interface Findings {
  /** What it was measured with. */
  readonly settings: z.output<typeof settings>;
  readonly tables: readonly Table[];
  readonly aims?: readonly Aim[];
  readonly plots?: readonly Plot[];
  /** Sentences that belong below the tables. */
  readonly notes?: readonly string[];
}

const load = z.tuple([z.number(), z.number(), z.number()]);
const result = z.object({
  part: z.string(),
  startedAt: z.iso.datetime(),
  seconds: z.number(),
  /** The commit that was measured; with `+` where the tree had changes. */
  commit: z.string(),
  machine: z.object({
    processor: z.string(),
    cores: z.number(),
    memoryGib: z.number(),
    loadBefore: load,
    loadAfter: load,
    /** Of all cores, while it was measured: of everything that ran, ours or not. */
    busyShare: z.number(),
  }),
  versions: z.record(z.string(), z.string()),
  settings,
  tables: z.array(table).readonly(),
  aims: z.array(aim).readonly(),
  plots: z.array(plot).readonly(),
  notes: z.array(z.string()).readonly(),
});
/** What `docs/bench/<part>.json` holds. */
export type Result = z.output<typeof result>;

/** @throws Error when it is no result */
export const parseResult = (text: string): Result => result.parse(JSON.parse(text));

/** @throws Error where a figure is none, so that no page is made of it */
export const formatResult = (value: Result): string => `${JSON.stringify(result.parse(value), null, 2)}\n`;

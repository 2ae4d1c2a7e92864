import { Sql } from 'sql-template-tag';

/** What a statement may carry beside its text; `undefined` and objects are not among it, JSON travels as text. */
export type Parameter = string | number | bigint | boolean | Uint8Array | null | readonly Parameter[];

/** A piece of a statement with its parameters; it sends nothing by itself. */
export type Fragment = Sql;

/** Makes a fragment: what stands in `${}` becomes a parameter, never text, unless it is a fragment itself. */
export function sql(strings: TemplateStringsArray, ...values: readonly (Parameter | Fragment)[]): Fragment {
  // A cast can bring it here; the driver would send null, and a forgotten field would look like an empty one.
  if ((values as readonly unknown[]).includes(undefined))
    throw new TypeError('a parameter of a statement is undefined');
  return new Sql(strings, values);
}

/**
 * Behind a list of keys that is to be joined with a large table: a limit that nothing reaches and that PostgreSQL cannot see through, so
 * it plans for a row or two, and goes by the index. What it plans while the table is small, at a first build, would otherwise read all of
 * the table each time, until somebody analyzes it.
 */
export const PLANNED_AS_FEW = sql`limit (select 1000000)`;

import { inSpan } from './spans.ts';

/**
 * Wraps each statement into a span that names what it does and to which table: our own words, for the text of a statement
 * holds its parameters' numbers, never their values.
 *
 * @param database its name on the platform
 */
export const traceStatements =
  (database: 'sync' | 'auth') =>
  <T>(text: string, work: () => Promise<T>): Promise<T> =>
    inSpan(
      () => ({
        name: summaryOf(text),
        kind: 'client',
        attributes: { 'db.system.name': 'postgresql', 'db.namespace': database },
      }),
      work,
    );

/** As `select mana_ai.run_slots`: the first word, and the first table. */
export function summaryOf(text: string): string {
  const [, verb = 'statement'] = /^\s*([a-z]+)/i.exec(text) ?? [];
  const [, table = ''] = /\b(?:from|into|update)\s+([a-z_]+\.[a-z_]+)/i.exec(text) ?? [];
  return `${verb.toLowerCase()} ${table}`.trimEnd();
}

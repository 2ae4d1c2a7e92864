/**
 * Lines around what was read: only the run knows the delimiter, so no record can close its own block, and whoever looks at
 * a prompt again finds in it exactly what the model was shown.
 */

/** @param label one line without the delimiter */
export const dataBlock = (delimiter: string, label: string, body: string): string =>
  `<<<${delimiter} ${label}\n${body}\n${delimiter}>>>`;

export interface DataBlock {
  readonly label: string;
  readonly body: string;
}

/** Blocks begin on a line of their own: our rules name the delimiter, too. */
const splitAtBlocks = (text: string, delimiter: string): string[] => `\n${text}`.split(`\n<<<${delimiter} `);

/** The blocks of a text, in their order. */
export const dataBlocksIn = (text: string, delimiter: string): DataBlock[] =>
  splitAtBlocks(text, delimiter)
    .slice(1)
    .map((opened) => {
      const lineEnd = opened.indexOf('\n');
      return {
        label: opened.slice(0, lineEnd),
        body: opened.slice(lineEnd + 1).split(`\n${delimiter}>>>`)[0] ?? '',
      };
    });

/** What a block of JSON holds, as reading tools answer; null for any other. */
export function jsonIn({ body }: DataBlock): unknown {
  if (!body.startsWith('{')) return null;
  try {
    return JSON.parse(body);
  } catch {
    return null;
  }
}

/** Every text in a value, one to a line: a model reads through the escapes of JSON. */
export function textsIn(value: unknown): string {
  if (typeof value === 'string') return value;
  return typeof value === 'object' && value !== null ? Object.values(value).map(textsIn).join('\n') : '';
}

/** What stands in no block. */
export const outsideDataBlocks = (text: string, delimiter: string): string => {
  const [before = '', ...opened] = splitAtBlocks(text, delimiter);
  return [before, ...opened.map((block) => block.split(`\n${delimiter}>>>`)[1] ?? '')].join('\n');
};

/** A blank in its place: what is left around it cannot make another one. */
export const withoutDelimiter = (text: string, delimiter: string): string => text.replaceAll(delimiter, ' ');

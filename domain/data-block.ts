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

/** What stands in no block. */
export const outsideDataBlocks = (text: string, delimiter: string): string => {
  const [before = '', ...opened] = splitAtBlocks(text, delimiter);
  return [before, ...opened.map((block) => block.split(`\n${delimiter}>>>`)[1] ?? '')].join('\n');
};

/** A blank in its place: what is left around it cannot make another one. */
export const withoutDelimiter = (text: string, delimiter: string): string => text.replaceAll(delimiter, ' ');

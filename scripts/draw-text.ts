/** Characters of a line; longer ones go on in the next. */
const COLUMNS = 104;
const [LINE_HEIGHT, CHARACTER_WIDTH, MARGIN] = [20, 8.4, 20];

/**
 * A picture of text as a terminal shows it, for pages.
 *
 * @param title stands above the text, as a command that printed it would
 * @returns an SVG document
 */
export function drawText(title: string, lines: readonly string[]): string {
  const shown = lines.flatMap(wrapped);
  const width = Math.round(2 * MARGIN + COLUMNS * CHARACTER_WIDTH);
  const height = 2 * MARGIN + (shown.length + 2) * LINE_HEIGHT;
  const text = (line: string, row: number, fill: string): string =>
    `  <text x="${MARGIN}" y="${MARGIN + (row + 0.7) * LINE_HEIGHT}" fill="${fill}">${escaped(line)}</text>`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="monospace" font-size="14">`,
    '  <style>text { white-space: pre }</style>',
    `  <title>${escaped(title)}</title>`,
    `  <rect width="${width}" height="${height}" rx="8" fill="#16191f"/>`,
    text(title, 0, '#7fb2ff'),
    ...shown.map((line, index) => text(line, index + 2, '#d8dde6')).filter((_, index) => shown[index] !== ''),
    '</svg>',
    '',
  ].join('\n');
}

/** At spaces or behind commas where there are some; what goes on is indented as its beginning, and two more. */
function wrapped(line: string): string[] {
  if (line.length <= COLUMNS) return [line];
  const indent = /^ */.exec(line)?.[0].length ?? 0;
  const [space, comma] = [line.lastIndexOf(' ', COLUMNS), line.lastIndexOf(',', COLUMNS - 1) + 1];
  const end = [space, comma].find((place) => place > indent) ?? COLUMNS;
  return [line.slice(0, end), ...wrapped(' '.repeat(indent + 2) + line.slice(end).trimStart())];
}

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

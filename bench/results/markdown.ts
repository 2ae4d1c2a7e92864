import type { Aim, Cell, Plot, Result, Table } from './result.ts';
import { quantile } from '#bench/measure.ts';

/** Three figures are enough: the rest is noise. */
export function shown(value: number): string {
  const size = Math.abs(value);
  if (!Number.isFinite(value)) return 'none';
  if (Number.isInteger(value) || size >= 100) return Math.round(value).toLocaleString('en');
  return value.toFixed(size >= 10 ? 1 : size >= 0.1 ? 2 : 3);
}

/** What a cell counts as where one figure is wanted. */
export const middle = (cell: Cell | undefined): number =>
  typeof cell === 'number' ? cell : Array.isArray(cell) ? quantile(cell as number[], 0.5) : NaN;

function cellText(cell: Cell): string {
  if (typeof cell === 'string') return cell;
  if (typeof cell === 'number') return shown(cell);
  return [Math.min(...cell), middle(cell), Math.max(...cell)].map(shown).join(' / ');
}

export function tableText({ title, header, rows }: Table): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const body = rows.map((row) => line(row.map(cellText)));
  return [`**${title}**`, '', line(header), line(header.map(() => '---')), ...body, ''].join('\n');
}

export const holds = ({ found, atMost = Infinity, atLeast = -Infinity }: Aim): boolean =>
  found <= atMost && found >= atLeast;

function aimText(aim: Aim): string {
  const wanted = [
    ...(aim.atLeast === undefined ? [] : [`at least ${shown(aim.atLeast)}`]),
    ...(aim.atMost === undefined ? [] : [`at most ${shown(aim.atMost)}`]),
  ];
  return `- ${aim.what}: ${shown(aim.found)}, aim ${wanted.join(' and ')}: ${holds(aim) ? 'reached' : '**missed**'}.`;
}

/** Where the picture of a plot lies, from docs/. */
export const plotPath = ({ part }: Pick<Result, 'part'>, { name }: Plot): string =>
  `bench/${part}-${name}.svg`;

/** A part as docs/performance.md shows it. */
export function resultText(result: Result): string {
  const { machine, settings, versions, aims, notes } = result;
  const pairs = (of: Readonly<Record<string, string | number>>): string =>
    Object.entries(of)
      .map(([name, value]) => `${name} ${typeof value === 'number' ? shown(value) : value}`)
      .join(', ');
  const load = (of: readonly number[]): string => of.map((each) => each.toFixed(1)).join(', ');
  const pictures = result.plots.map((plot) => {
    const title = result.tables[plot.table]?.title ?? plot.name;
    return `![${title}: ${plot.unit}](${plotPath(result, plot)})\n`;
  });
  return [
    ...result.tables.map(tableText),
    ...pictures,
    ...(notes.length === 0 ? [] : [`${notes.join(' ')}\n`]),
    ...(aims.length === 0 ? [] : [`${aims.map(aimText).join('\n')}\n`]),
    [
      `Measured ${result.startedAt.slice(0, 16).replace('T', ' ')} UTC in ${shown(Math.round(result.seconds))} s at ${result.commit}: ${pairs(settings)}.`,
      `${machine.cores} × ${machine.processor}, ${machine.memoryGib} GiB, load ${load(machine.loadBefore)} before and ${load(machine.loadAfter)}`,
      `after (1, 5, 15 min), ${Math.round(machine.busyShare * 100)} % of the cores busy; ${pairs(versions)}.\n`,
    ].join(' '),
  ].join('\n');
}

const begin = (part: string): string => `<!-- bench: ${part} -->`;
const END = '<!-- end of bench -->';

/**
 * Puts what was found between the marks of each part; what stands around them is written by hand.
 *
 * @throws Error when a part has no place, or a place has no end
 */
export function withResults(page: string, results: readonly Result[]): string {
  return results.reduce((text, result) => {
    const from = text.indexOf(begin(result.part));
    if (from < 0) throw new Error(`${result.part}: the page has no ${begin(result.part)}`);
    const to = text.indexOf(END, from);
    if (to < 0) throw new Error(`${result.part}: the page has no ${END} after it`);
    return `${text.slice(0, from)}${begin(result.part)}\n\n${resultText(result)}\n${text.slice(to)}`;
  }, page);
}

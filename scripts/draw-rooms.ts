import { cruise, type ICruiseOptions, type ICruiseResult } from 'dependency-cruiser';
import extractDepcruiseOptions from 'dependency-cruiser/config-utl/extract-depcruise-options';
import { resolve } from 'node:path';
import { format, resolveConfig } from 'prettier';

const root = resolve(import.meta.dirname, '..');
/** What runs in production. */
export const PRODUCT_FOLDERS = [
  ...[
    'activities',
    'api',
    'commands',
    'config',
    'crypto',
    'db',
    'domain',
    'health',
    'http',
    'llm',
    'logging',
  ],
  ...['metrics', 'migrations', 'research', 'runs', 'schedules', 'temporal', 'tracing', 'vault', 'worker'],
  'workflows',
];

/** From here on the page changes with every line of code, so no test compares it. */
export const FIGURES = '## Figures\n';

/** Of the page what `drawRooms` gives. */
export const drawnPart = (page: string): string => page.slice(0, page.indexOf(FIGURES));

/** The page as far as the code draws it, in Markdown; GitHub and most editors draw its diagrams. */
export async function drawRooms(): Promise<string> {
  const { folders, rooms, subRooms } = await arrowsIn(root);
  const page = `# Rooms

Made by \`node scripts/rooms.ts --write\` from dependency-cruiser's own graph; a test fails when it is out of date.
An arrow goes from who imports to what is imported. Which arrows may be there is said, with the reason for each, in
\`dependency-cruiser.mjs\`; \`scripts/boundaries.test.ts\` tries every rule.

## Folders of the product

${summary(folders)}

${diagram(folders, (folder) => folder)}

## Rooms of \`domain/\`

They stand in an order, and each looks only into those before it. \`base\` is what any program of this kind has (ids, instants, texts,
errors), \`wire\` is what stands in the log of the platform, as every other room reads and writes it. ${summary(rooms)}
${leadingTo(rooms, ['domain/base', 'domain/wire'])} of the arrows lead to these two.

${diagram(rooms, (room) => room.replace('domain/', ''))}

## Rooms of \`domain/planner/\`

The largest of them has rooms of its own, in an order as well; for the house they count as one. Where each of them is counted,
\`domain/\` has ${namesIn(subRooms).length} rooms and ${subRooms.length} arrows.

${diagram(
  subRooms.filter((arrow) => arrow.every((room) => room.startsWith(PLANNER))),
  (room) => room.replace(PLANNER, ''),
)}
`;
  const drawn = await format(page, {
    ...(await resolveConfig(resolve(root, 'docs', 'rooms.md'))),
    parser: 'markdown',
  });
  return `${drawn}\n`;
}

const PLANNER = 'domain/planner/';

export type Arrow = readonly [from: string, to: string];

/** The arrows between folders, between rooms of `domain/`, and between these where each room of the planner counts. */
export const arrowsIn = async (tree: string) => ({
  folders: await arrowsOf(tree, `^(${PRODUCT_FOLDERS.join('|')})/`, '^[^/]+'),
  rooms: await arrowsOf(tree, '^domain/', '^domain/[^/]+'),
  subRooms: await arrowsOf(tree, '^domain/', '^domain/(planner/)?[^/]+'),
});

/** @param tree a checkout of this repository; imports are resolved as its own configuration says */
async function arrowsOf(tree: string, includeOnly: string, collapse: string): Promise<readonly Arrow[]> {
  const options: ICruiseOptions = await extractDepcruiseOptions(resolve(tree, 'dependency-cruiser.mjs'));
  const { output } = await cruise(['.'], {
    ...{ ...options, baseDir: tree, validate: false, includeOnly, collapse },
    exclude: { path: ['\\.test\\.ts$', '^(\\.tools|dist|node_modules)/'] },
  });
  const { modules } = output as ICruiseResult;
  const arrows = modules.flatMap(({ source, dependencies }) =>
    dependencies.map(({ resolved }): Arrow => [source, resolved]).filter(([from, to]) => from !== to),
  );
  return arrows.sort(([a, b], [c, d]) => compare(a, c) || compare(b, d));
}

const compare = (one: string, other: string): number => (one < other ? -1 : one > other ? 1 : 0);

export const namesIn = (arrows: readonly Arrow[]): string[] => [...new Set(arrows.flat())].sort(compare);

const leadingTo = (arrows: readonly Arrow[], rooms: readonly string[]): number =>
  arrows.filter(([, to]) => rooms.includes(to)).length;

const summary = (arrows: readonly Arrow[]): string =>
  `${namesIn(arrows).length} of them, ${arrows.length} arrows.`;

function diagram(arrows: readonly Arrow[], nameOf: (path: string) => string): string {
  const names = namesIn(arrows);
  const id = (name: string): string => `n${names.indexOf(name)}`;
  return [
    ...['```mermaid', 'flowchart LR'],
    ...names.map((name) => `  ${id(name)}["${nameOf(name)}"]`),
    ...arrows.map(([from, to]) => `  ${id(from)} --> ${id(to)}`),
    '```',
  ].join('\n');
}

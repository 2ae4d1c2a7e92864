/**
 * Keeps `docs/rooms.md`: the folders of the product and the rooms of `domain/`, with the arrows between them as
 * dependency-cruiser sees them. `--write` draws, `--check` fails when the page differs. What stands behind `FIGURES` is written by
 * hand, from what `--figures` prints of this checkout, or of the one that `--tree` names.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { drawnPart, drawRooms, FIGURES } from './draw-rooms.ts';
import { houseFigures } from './house-figures.ts';

const root = resolve(import.meta.dirname, '..');
const file = resolve(root, 'docs', 'rooms.md');

const { values } = parseArgs({
  options: {
    ...{ write: { type: 'boolean' }, check: { type: 'boolean' }, figures: { type: 'boolean' } },
    tree: { type: 'string', default: root },
  },
});
if ([values.write, values.check, values.figures].filter((given) => given === true).length !== 1) {
  console.error('give one of --write, --check and --figures');
  process.exit(2);
}
if (values.figures === true) console.table(await houseFigures(resolve(values.tree)));
else {
  const drawn = await drawRooms();
  const page = readFileSync(file, 'utf8');
  if (values.write === true) writeFileSync(file, drawn + page.slice(page.indexOf(FIGURES)));
  else if (drawnPart(page) !== drawn) {
    console.error('docs/rooms.md is not what the code looks like; run: node scripts/rooms.ts --write');
    process.exit(1);
  }
}

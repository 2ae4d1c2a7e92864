/**
 * Keeps `docs/rooms.md`: the folders of the product and the rooms of `domain/`, with the arrows between them as
 * dependency-cruiser sees them. `--write` draws, `--check` fails when the page differs. What stands behind `FIGURES` is written by
 * hand, from what `--figures` prints of this checkout, or of the one that `--tree` names.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { commandLine } from '#dev/command-line.ts';
import { drawnPart, drawRooms, FIGURES } from './draw-rooms.ts';
import { houseFigures } from './house-figures.ts';

const root = resolve(import.meta.dirname, '..');
const file = resolve(root, 'docs', 'rooms.md');

const command = commandLine('node scripts/rooms.ts', 'Keeps docs/rooms.md.')
  .option('--write', 'make it anew')
  .option('--check', 'end with 1 where it is not as it would be made')
  .option('--figures', 'print the figures')
  .option('--tree <folder>', 'of another checkout')
  .parse();
const {
  write = false,
  check = false,
  figures = false,
  tree = root,
} = command.opts<{
  write?: boolean;
  check?: boolean;
  figures?: boolean;
  tree?: string;
}>();
if ([write, check, figures].filter(Boolean).length !== 1)
  command.error('give one of --write, --check and --figures');
if (figures) console.table(await houseFigures(resolve(tree)));
else {
  const drawn = await drawRooms();
  const page = readFileSync(file, 'utf8');
  if (write) writeFileSync(file, drawn + page.slice(page.indexOf(FIGURES)));
  else if (drawnPart(page) !== drawn) {
    console.error('docs/rooms.md is not what the code looks like; run: node scripts/rooms.ts --write');
    process.exit(1);
  }
}

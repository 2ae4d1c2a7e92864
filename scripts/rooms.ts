/**
 * Keeps `docs/rooms.md`: the folders of the product and the rooms of `domain/`, with the arrows between them as
 * dependency-cruiser sees them. `--write` draws, `--check` fails when the page differs.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { drawRooms } from './draw-rooms.ts';

const file = resolve(import.meta.dirname, '..', 'docs', 'rooms.md');

const { values } = parseArgs({ options: { write: { type: 'boolean' }, check: { type: 'boolean' } } });
if (values.write === values.check) {
  console.error('give either --write or --check');
  process.exit(2);
}
const drawn = await drawRooms();
if (values.write === true) writeFileSync(file, drawn);
else if (readFileSync(file, 'utf8') !== drawn) {
  console.error('docs/rooms.md is not what the code looks like; run: node scripts/rooms.ts --write');
  process.exit(1);
}

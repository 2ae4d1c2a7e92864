import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, it } from 'vitest';
import { drawRooms } from './draw-rooms.ts';

it('docs/rooms.md is what the code looks like', async () => {
  const page = readFileSync(resolve(import.meta.dirname, '..', 'docs', 'rooms.md'), 'utf8');
  expect(await drawRooms(), 'run: node scripts/rooms.ts --write').toBe(page);
});

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, it } from 'vitest';
import { drawnPart, drawRooms } from './draw-rooms.ts';

it('docs/rooms.md is what the code looks like', async () => {
  const page = readFileSync(resolve(import.meta.dirname, '..', 'docs', 'rooms.md'), 'utf8');
  expect(drawnPart(page), 'run: node scripts/rooms.ts --write').toBe(await drawRooms());
});

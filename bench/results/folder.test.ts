import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, it } from 'vitest';
import { documents, measuredSince, pictures } from './folder.ts';
import { PART_NAMES } from '#bench/parts.ts';

const docs = resolve(import.meta.dirname, '..', '..', 'docs');

it('docs/performance.md and its pictures are made from docs/bench/*.json (bin/yarn bench:docs)', async () => {
  const documented = await documents();
  for (const [path, text] of documented) expect(readFileSync(resolve(docs, path), 'utf8'), path).toBe(text);
  expect(pictures().filter((path) => !documented.has(path))).toEqual([]);
});

it('docs/performance.md has a place for each part of the benchmark, and for no other', () => {
  const page = readFileSync(resolve(docs, 'performance.md'), 'utf8');
  const places = [...page.matchAll(/<!-- bench: (\S+) -->/g)].map(([, part = '']) => part);
  expect(places.sort()).toEqual([...PART_NAMES].sort());
});

it('a run that is taken up again leaves out what it has measured, and measures anew what is older', () => {
  const results = [
    { part: 'missions', startedAt: '2026-11-29T15:00:00.000Z' },
    { part: 'grants', startedAt: '2026-11-29T14:59:59.999Z' },
  ];
  expect(measuredSince('2026-11-29T15:00:00.000Z', results)).toEqual(['missions']);
});

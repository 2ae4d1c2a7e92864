import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { FAILURE_CODES } from '#domain/wire/iteration.ts';

it('docs/operations.md says of every failure code, once, what to do', () => {
  const page = readFileSync(new URL('../docs/operations.md', import.meta.url), 'utf8');
  const [, section = ''] = page.split('\n## Failure codes\n');
  const [table = ''] = section.split('\n## ');
  // A row whose cells are empty is none.
  const rows = [...table.matchAll(/^\| `(?<code>[a-z-]+)` *\| [^\s|][^|]*\| [^\s|][^|]*\|$/gm)];
  expect(rows.map(({ groups }) => groups?.['code'] ?? '').sort()).toEqual([...FAILURE_CODES].sort());
});

/**
 * `node scripts/scaling.ts [INPUT=VALUE…]` prints the tables of docs/scaling.md with other inputs; `--write` puts those of the inputs
 * as they are in scripts/scaling-tables.ts into the page.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { INPUTS, scalingTables, withTables, type Values } from './scaling-tables.ts';

const file = resolve(import.meta.dirname, '..', 'docs', 'scaling.md');
const words = process.argv.slice(2);
if (words.length === 1 && words[0] === '--write') {
  const page = withTables(readFileSync(file, 'utf8'), scalingTables());
  writeFileSync(file, await format(page, { ...(await resolveConfig(file)), filepath: file }));
} else {
  const changes: Partial<Record<keyof Values, number>> = {};
  for (const word of words) {
    const [name = '', value = ''] = word.split('=');
    if (!Object.hasOwn(INPUTS, name) || value === '' || !Number.isFinite(Number(value))) {
      console.error(
        `${word}: expected --write, or one of ${Object.keys(INPUTS).join(', ')} with =NUMBER behind it`,
      );
      process.exit(2);
    }
    changes[name as keyof Values] = Number(value);
  }
  for (const [name, text] of Object.entries(scalingTables(changes))) console.log(`${name}\n\n${text}\n`);
}

/**
 * The long form of the fault suite (docs/reliability.md): `bin/yarn test:faults:long`. Each part has a seed and a service of its own;
 * its result is added to a file when it has ended, and a part that stands there is not run again.
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { PART_SIZES, PARTS, type PartName } from '#test/faults/long/faults.ts';
import { runPart, type PartResult } from '#test/faults/long/part.ts';
import { numberOption } from './number-option.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    parts: { type: 'string', default: Object.keys(PARTS).join(',') },
    missions: { type: 'string' },
    kills: { type: 'string' },
    minutes: { type: 'string' },
    results: { type: 'string', default: 'faults-long.json' },
    traces: { type: 'string' },
  },
});

const seedOfAll = numberOption('seed', values.seed);

/** Of a part: what the command says, or the part's own. */
const sizeOf = (part: PartName, name: 'missions' | 'kills' | 'minutes'): number => {
  const said = values[name];
  return said === undefined ? PART_SIZES[part][name] : numberOption(name, said);
};

function fail(text: string): never {
  console.error(text);
  process.exit(2);
}

const isPart = (name: string): name is PartName => Object.hasOwn(PARTS, name);
const parts = values.parts.split(',').map((name) => {
  if (!isPart(name)) fail(`--parts: found ${name}, expected some of ${Object.keys(PARTS).join(', ')}`);
  return name;
});

const results = (
  existsSync(values.results) ? JSON.parse(readFileSync(values.results, 'utf8')) : {}
) as Record<string, PartResult>;

for (const part of parts) {
  // A part has its seed whichever others are chosen with it.
  const seed = seedOfAll * 1_000 + Object.keys(PARTS).indexOf(part) * 10;
  const [missions, kills, minutes] = [
    sizeOf(part, 'missions'),
    sizeOf(part, 'kills'),
    sizeOf(part, 'minutes'),
  ];
  // Together with its size, a seed chooses the same faults again.
  const name = `${part} ${seed} ${missions} ${kills} ${minutes}`;
  if (Object.hasOwn(results, name)) {
    console.info(`${name}: done before`);
    continue;
  }
  const tracesIn = values.traces === undefined ? null : join(values.traces, name.replaceAll(' ', '-'));
  const result = await runPart(
    { part, seed, missions, kills, forMs: minutes * 60_000, tracesIn },
    console.info,
  );
  results[name] = result;
  writeFileSync(`${values.results}.new`, `${JSON.stringify(results, null, 2)}\n`);
  renameSync(`${values.results}.new`, values.results);
  console.info(JSON.stringify(result, null, 2));
  if (result.violations.length > 0) process.exitCode = 1;
}

/**
 * The long form of the fault suite (docs/reliability.md): `bin/yarn test:faults:long`. Each part has a seed and a service of its own;
 * its result is added to a file when it has ended, and a part that stands there is not run again.
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { commandLine, numberAboveZero, someOf } from '#dev/command-line.ts';
import { PART_SIZES, PARTS, type PartName } from '#test/faults/long/faults.ts';
import { runPart, type PartResult } from '#test/faults/long/part.ts';

type Size = 'missions' | 'kills' | 'minutes';

const NAMES = Object.keys(PARTS) as PartName[];
const values = commandLine(
  'bin/yarn test:faults:long',
  'Faults of all kinds under load, on a service of its own for each part (docs/reliability.md).',
)
  .option('--seed <n>', 'of missions and faults', numberAboveZero, 1)
  .option('--parts <names>', `some of ${NAMES.join(', ')}; all by default`, someOf(NAMES))
  .option('--missions <n>', "of a part, instead of each part's own", numberAboveZero)
  .option('--kills <n>', 'the same', numberAboveZero)
  .option('--minutes <n>', 'the same', numberAboveZero)
  .option('--results <file>', 'parts that stand in it are not run again', 'faults-long.json')
  .option('--traces <folder>', 'where each part leaves logs, requests and rows')
  .parse()
  .opts<
    { seed: number; parts?: readonly PartName[]; results: string; traces?: string } & Partial<
      Record<Size, number>
    >
  >();

/** Of a part: what the command says, or the part's own. */
const sizeOf = (part: PartName, name: Size): number => values[name] ?? PART_SIZES[part][name];

const results = (
  existsSync(values.results) ? JSON.parse(readFileSync(values.results, 'utf8')) : {}
) as Record<string, PartResult>;

for (const part of values.parts ?? NAMES) {
  // A part has its seed whichever others are chosen with it.
  const seed = values.seed * 1_000 + NAMES.indexOf(part) * 10;
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

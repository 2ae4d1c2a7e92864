/**
 * `bin/yarn bench [--resume] [--small] [part …]`: measures all parts, or these, each in a process of its own, prints what they found and
 * keeps it in docs/bench/, from which it makes the tables and pictures of docs/performance.md.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Argument } from 'commander';
import { commandLine } from '#dev/command-line.ts';
import { PART_NAMES } from './parts.ts';
import { beginRun, keep, partsOfLastRun, writeDocuments } from './results/folder.ts';
import { resultText } from './results/markdown.ts';
import { parseResult } from './results/result.ts';
import { createTemporaryDirectory } from '#dev/guardian.ts';
import { spawnProcess } from '#dev/processes.ts';

/** Far above what any takes; one that hangs must not keep the others. */
const LONGEST_MS = 1_200_000;

const command = commandLine(
  'bin/yarn bench',
  'Measures parts of the service, each in a process of its own, and keeps what it found in docs/bench/ and docs/performance.md.',
)
  .addArgument(new Argument('[part...]', 'all of them by default').choices(PART_NAMES))
  .option('--resume', 'take up the last run of all parts where it was broken off')
  .option('--small', 'tiny sizes, to see that the parts work; keeps nothing')
  .parse();
const { resume = false, small = false } = command.opts<{ resume?: boolean; small?: boolean }>();
const positionals = command.args;

const isWhole = positionals.length === 0 && !small;
if (isWhole && !resume) beginRun(new Date().toISOString());
const done = resume ? partsOfLastRun() : [];
const wanted = PART_NAMES.filter((name) => positionals.length === 0 || positionals.includes(name));
const directory = createTemporaryDirectory('mana-bench-');
const failed: string[] = [];
for (const part of wanted.filter((name) => !done.includes(name))) {
  console.log(`## ${part}\n`);
  const text = await measured(part);
  if (text === null) failed.push(part);
  else {
    console.log(resultText(parseResult(text)));
    if (!small) keep(part, text);
  }
}
directory.remove();
if (!small) await writeDocuments();
if (failed.length > 0) {
  console.error(
    `failed: ${failed.join(', ')}${isWhole ? '; bin/yarn bench --resume measures them again' : ''}`,
  );
  process.exitCode = 1;
}

/** @returns the result's JSON; null where the part failed, and said why */
async function measured(part: string): Promise<string | null> {
  const file = join(directory.path, `${part}.json`);
  const child = await spawnProcess({
    name: part,
    command: process.execPath,
    args: [join(import.meta.dirname, 'part.ts'), part, file, ...(small ? ['--small'] : [])],
    env: cliOfTemporal(),
    logFile: null,
  });
  const deadline = setTimeout(() => void child.stop(), LONGEST_MS);
  const { code, signal } = await child.exited;
  clearTimeout(deadline);
  if (code === 0) return readFileSync(file, 'utf8');
  console.error(`${part}: ended with ${code ?? signal ?? 'nothing'}`);
  return null;
}

/** The one thing that a part may be told by its environment. */
function cliOfTemporal(): Record<string, string> {
  const path = process.env['TEMPORAL_CLI'];
  return path === undefined ? {} : { TEMPORAL_CLI: path };
}

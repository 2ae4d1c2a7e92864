/** `node bench/part.ts PART FILE [--small]`: measures one part and writes what it found to the file. For `bench/run.ts`. */
import { writeFileSync } from 'node:fs';
import { Argument } from 'commander';
import { commandLine } from '#dev/command-line.ts';
import { isPart, loadPart, PART_NAMES } from './parts.ts';
import { commitOf, observeMachine, versions } from './machine.ts';
import { formatResult } from './results/result.ts';

const command = commandLine('node bench/part.ts', 'One part, for bench/run.ts.')
  .addArgument(new Argument('<part>').choices(PART_NAMES))
  .argument('<file>', 'for the result')
  .option('--small', 'tiny sizes')
  .parse();
const [part = '', file = ''] = command.args;
const { small: isSmall = false } = command.opts<{ small?: boolean }>();
if (!isPart(part)) throw new Error(`no part ${part}`);
const commit = commitOf();
const measure = await loadPart(part);
const startedAt = new Date().toISOString();
const startedMs = performance.now();
const observed = observeMachine();
const { settings, tables, aims = [], plots = [], notes = [] } = await measure({ isSmall });
writeFileSync(
  file,
  formatResult({
    ...{ part, startedAt, commit, seconds: (performance.now() - startedMs) / 1_000 },
    machine: observed.end(),
    versions: versions(),
    settings,
    ...{ tables, aims, plots, notes },
  }),
);

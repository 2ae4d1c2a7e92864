/** `node bench/part.ts PART FILE [--small]`: measures one part and writes what it found to the file. For `bench/run.ts`. */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { isPart, loadPart } from './parts.ts';
import { commitOf, observeMachine, versions } from './machine.ts';
import { formatResult } from './results/result.ts';

const { values, positionals } = parseArgs({
  options: { small: { type: 'boolean', default: false } },
  allowPositionals: true,
});
const [part = '', file = ''] = positionals;
if (!isPart(part)) throw new Error(`no part ${part}`);
const commit = commitOf();
const measure = await loadPart(part);
const startedAt = new Date().toISOString();
const startedMs = performance.now();
const observed = observeMachine();
const { settings, tables, aims = [], plots = [], notes = [] } = await measure({ isSmall: values.small });
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

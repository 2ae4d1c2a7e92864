/**
 * What `bin/test` and CI run: formatter, linter, types, import boundaries, then the tests; with `--all` (CI) also the long
 * fault runs. Prints the output of what fails; the last line on stdout is `N passed, N failed`, where each static check
 * counts as one. Other arguments go to vitest.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { delimiter, dirname, join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createTemporaryDirectory } from '#dev/guardian.ts';
import { spawnProcess, type ManagedProcess } from '#dev/processes.ts';
import { countTests, type Counts } from './test-counts.ts';

const root = resolve(import.meta.dirname, '..');
/** Everything that the checks store goes here and ends with us. */
const directory = createTemporaryDirectory('mana-check-');
const running = new Set<ManagedProcess>();
const exitCodes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
const interruption: { signal: keyof typeof exitCodes | null } = { signal: null };

/** The boundaries name their folders in package.json; those of later days do not exist yet. */
function boundariesCommand(): string[] {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    scripts: { boundaries: string };
  };
  const words = manifest.scripts.boundaries.split(' ');
  const isFolder = (word: string, index: number) =>
    index > 0 && !word.startsWith('-') && words[index - 1] !== '--config';
  return words.filter((word, index) => !isFolder(word, index) || existsSync(join(root, word)));
}

const staticChecks: readonly { readonly name: string; readonly command: readonly string[] }[] = [
  { name: 'formatter', command: ['prettier', '--check', '--log-level', 'warn', '.'] },
  { name: 'types', command: ['tsc'] },
  { name: 'linter', command: ['eslint', '--max-warnings', '0', '.'] },
  { name: 'boundaries', command: boundariesCommand() },
];

/** Complete, so that no variable of the developer's shell decides about a test. */
function environment(): Record<string, string> {
  const passedOn = [
    ...['CI', 'TERM', 'LANG', 'NO_COLOR', 'FORCE_COLOR', 'TEMPORAL_CLI', 'PGBOUNCER'],
    // Which attacks, and how many: test/attacks/support/seed.ts.
    ...['ATTACK_SEED', 'ATTACK_RUNS'],
  ];
  const given = passedOn.map((name): [string, string | undefined] => [name, process.env[name]]);
  return {
    ...Object.fromEntries(given.filter((entry): entry is [string, string] => entry[1] !== undefined)),
    // The tools' first line asks for "node", which may be an older one.
    PATH: [dirname(process.execPath), process.env['PATH'] ?? ''].join(delimiter),
    TMPDIR: directory.path,
    NODE_COMPILE_CACHE: join(directory.path, 'compile-cache'),
    // The same attacks with more behind them.
    ...(process.argv.includes('--all') ? { ATTACKS: 'long' } : {}),
  };
}

async function runTool(
  name: string,
  [tool = '', ...args]: readonly string[],
  logFile: string | null,
): Promise<boolean> {
  const command = join(root, 'node_modules', '.bin', tool);
  const started = await spawnProcess({ name, command, args, env: environment(), logFile, cwd: root });
  running.add(started);
  const { code } = await started.exited;
  running.delete(started);
  return code === 0;
}

/** Two at a time: more would only wait for each other on the smallest machine, which has two cores. */
async function runStaticChecks(): Promise<Counts> {
  const waiting = [...staticChecks];
  const results: boolean[] = [];
  const work = async (): Promise<void> => {
    for (
      let check = waiting.shift();
      check !== undefined && interruption.signal === null;
      check = waiting.shift()
    ) {
      results.push(await runStaticCheck(check.name, check.command));
    }
  };
  await Promise.all([work(), work()]);
  return { passed: results.filter(Boolean).length, failed: results.filter((passed) => !passed).length };
}

async function runStaticCheck(name: string, command: readonly string[]): Promise<boolean> {
  const startedAt = performance.now();
  const logFile = join(directory.path, `${name}.log`);
  const passed = await runTool(name, command, logFile);
  if (interruption.signal !== null) return false;
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  process.stdout.write(`${passed ? '✓' : '✗'} ${name} (${seconds} s)\n`);
  if (!passed) process.stdout.write(`${readFileSync(logFile, 'utf8').trimEnd()}\n`);
  return passed;
}

/** Killed processes are noticed by timeouts: these tests wait more than they work. */
const LONG_PROJECT = 'faults';

async function runTests(given: readonly string[]): Promise<Counts> {
  const others = given.filter((argument) => argument !== '--all');
  const isNarrowed = others.some((argument) => argument.startsWith('--project'));
  const args = given.includes('--all') || isNarrowed ? others : [...others, `--project=!${LONG_PROJECT}`];
  const reportFile = join(directory.path, 'vitest.json');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${reportFile}`];
  const succeeded = await runTool('the tests', ['vitest', 'run', ...reporters, ...args], null);
  return countTests(existsSync(reportFile) ? readFileSync(reportFile, 'utf8') : '', succeeded);
}

/** Servers that vitest could not stop itself are ended by its guardian, which removes their folders last. */
async function waitForGuardians(): Promise<void> {
  const deadlineAt = Date.now() + 10_000;
  while (readdirSync(directory.path).some((name) => name.startsWith('mana-')) && Date.now() < deadlineAt)
    await delay(50);
}

for (const signal of Object.keys(exitCodes) as (keyof typeof exitCodes)[]) {
  process.on(signal, () => {
    interruption.signal ??= signal;
    for (const child of running) void child.stop(5_000);
  });
}

try {
  const checks = await runStaticChecks();
  const tests =
    interruption.signal === null ? await runTests(process.argv.slice(2)) : { passed: 0, failed: 0 };
  const failed = checks.failed + tests.failed;
  if (interruption.signal === null)
    process.stdout.write(`${checks.passed + tests.passed} passed, ${failed} failed\n`);
  // A run without a single test proves nothing.
  process.exitCode = failed > 0 || tests.passed === 0 ? 1 : 0;
} finally {
  await waitForGuardians();
  directory.remove();
}
if (interruption.signal !== null) process.exitCode = exitCodes[interruption.signal];

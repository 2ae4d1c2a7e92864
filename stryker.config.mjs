import { declareValuePlugin, PluginKind } from '@stryker-mutator/api/plugin';

/**
 * `bin/yarn test:mutation [--mutate <files>]`: plants small faults, one at a time, and tells which of them no unit test notices.
 * Takes hours over everything and minutes over a folder; `MUTATION_EVERY=4` plants them in every fourth function only. See
 * docs/testing.md.
 *
 * @type {import('@stryker-mutator/api/core').PartialStrykerOptions}
 */
export default {
  testRunner: 'vitest',
  plugins: ['@stryker-mutator/vitest-runner', import.meta.url],
  ignorers: ['sample'],
  vitest: { configFile: 'vitest.mutation.config.ts', related: true },
  mutate: ['{crypto,domain}/**/*.ts', '!**/*.test.ts'],
  // Texts for people are checked by reading, not by a test that repeats them.
  mutator: { excludedMutations: ['StringLiteral'] },
  coverageAnalysis: 'perTest',
  // Started at module load (schemas, tables), a mutant costs a whole start of the tests; it is worth few of its faults.
  ignoreStatic: true,
  concurrency: 2,
  timeoutMS: 10_000,
  reporters: ['clear-text', 'progress', 'json'],
  clearTextReporter: { allowColor: false, logTests: false, reportTests: false },
  jsonReporter: { fileName: 'dist/mutation.json' },
  tempDirName: 'dist/mutation',
  ignorePatterns: ['.tools', 'dist', 'docs', 'docker', 'test/replay/histories'],
  allowEmpty: false,
};

const said = process.env['MUTATION_EVERY'] ?? '1';
if (!/^[1-9]\d*$/.test(said))
  throw new Error(`MUTATION_EVERY: found ${said}, expected a whole number from 1 on`);
const every = Number(said);
let seen = 0;
const chosen = new WeakMap();
/** Leaves out what stands at the top of a module, but for one in so many. */
const sample = {
  shouldIgnore(path) {
    if (!path.parentPath?.isProgram() || path.isImportDeclaration()) return undefined;
    if (!chosen.has(path.node)) chosen.set(path.node, seen++ % every === 0);
    return chosen.get(path.node) ? undefined : 'not in the sample';
  },
};
export const strykerPlugins = [declareValuePlugin(PluginKind.Ignore, 'sample', sample)];

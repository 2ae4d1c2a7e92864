/**
 * `bin/yarn test:mutation [--mutate <files>]`: plants small faults, one at a time, and tells which of them no unit test notices.
 * Takes hours over everything and minutes over a folder; see docs/testing.md.
 *
 * @type {import('@stryker-mutator/api/core').PartialStrykerOptions}
 */
export default {
  testRunner: 'vitest',
  plugins: ['@stryker-mutator/vitest-runner'],
  vitest: { configFile: 'vitest.mutation.config.ts', related: true },
  mutate: ['{crypto,domain,db}/**/*.ts', '!**/*.test.ts'],
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

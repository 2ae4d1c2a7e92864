import config, { strykerPlugins } from './stryker.config.mjs';

/**
 * `bin/yarn test:mutation:db`: the same for `db/`, whose tests are those of `test/integration/`. Works on the files where they
 * stand, since a copy would have no servers to test against: in a clone that nobody edits meanwhile.
 *
 * @type {import('@stryker-mutator/api/core').PartialStrykerOptions}
 */
export default {
  ...config,
  vitest: { configFile: 'vitest.mutation-db.config.ts', related: true },
  mutate: ['db/**/*.ts'],
  inPlace: true,
  concurrency: 1,
  timeoutMS: 60_000,
  timeoutFactor: 1,
  dryRunTimeoutMinutes: 20,
  jsonReporter: { fileName: 'dist/mutation-db.json' },
};
export { strykerPlugins };

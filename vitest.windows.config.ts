import { defineConfig } from 'vitest/config';

/**
 * `bin/yarn test:faults:windows`: a process dies in every named window, and the checker counts. A command of its own, because it
 * takes two minutes on a busy machine of two cores; test/faults/commit-windows.test.ts has the windows that matter most.
 */
export default defineConfig({
  test: {
    globalSetup: ['test/support/global-setup.ts'],
    pool: 'forks',
    allowOnly: false,
    include: ['test/windows/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});

import { defineConfig } from 'vitest/config';

/** The unit tests that `bin/yarn test:mutation` runs against planted faults: without those that measure how long something takes. */
export default defineConfig({
  test: {
    include: ['{crypto,domain}/**/*.test.ts'],
    exclude: ['**/linear-work.test.ts', '**/injection-work.test.ts', '**/cadence-ten-years.test.ts'],
    setupFiles: ['test/support/no-shrinking.ts'],
    testTimeout: 30_000,
  },
});

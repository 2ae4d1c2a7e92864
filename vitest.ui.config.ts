import { defineConfig } from 'vitest/config';

/**
 * `bin/yarn test:ui`: the Temporal UI in a real browser. A command of its own, because a browser on a busy machine of two
 * cores takes a minute and more; what it shows is proven without one in test/integration/codec-endpoint.test.ts.
 */
export default defineConfig({
  test: {
    globalSetup: ['test/support/global-setup.ts'],
    pool: 'forks',
    allowOnly: false,
    include: ['test/ui/**/*.test.ts'],
    testTimeout: 180_000,
    hookTimeout: 120_000,
  },
});

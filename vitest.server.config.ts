import { defineConfig } from 'vitest/config';

/**
 * `bin/yarn test:server`: missions on Temporal's production server. A command of its own, because the server's programs are built
 * from its Go module first, which takes a Go toolchain and five minutes; all other tests run its development server.
 */
export default defineConfig({
  test: {
    pool: 'forks',
    allowOnly: false,
    include: ['test/server/**/*.test.ts'],
    testTimeout: 600_000,
    hookTimeout: 600_000,
  },
});

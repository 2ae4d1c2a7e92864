import { defineConfig } from 'vitest/config';

/**
 * `bin/yarn test:image`: the Dockerfile's steps without Docker, and the processes from what they leave. A command of its own, because
 * it downloads every package and takes a minute; what the files say is tested in test/integration/deployment.test.ts.
 */
export default defineConfig({
  test: {
    pool: 'forks',
    allowOnly: false,
    include: ['test/image/**/*.test.ts'],
    testTimeout: 180_000,
    hookTimeout: 300_000,
  },
});

import { defineConfig } from 'vitest/config';
import { WaitingBesideWorking } from './scripts/test-order.ts';

/**
 * Folders with a server: one PostgreSQL and one Temporal for the whole run, see test/support/global-setup.ts. It is theirs
 * alone, so that a unit test starts no server, however vitest is called.
 */
const withServers = (name: string) => ({
  extends: true as const,
  test: {
    ...{ name, include: [`test/${name}/**/*.test.ts`] },
    // They only end what would wait for ever: machines were seen to stand still for some 200 s, and to go on.
    ...{ testTimeout: 300_000, hookTimeout: 300_000 },
    globalSetup: ['test/support/global-setup.ts'],
  },
});

export default defineConfig({
  test: {
    pool: 'forks',
    // One of them waits for most of the time, see scripts/test-order.ts.
    maxWorkers: 4,
    sequence: { sequencer: WaitingBesideWorking },
    // A test that is skipped, focused or empty proves nothing.
    allowOnly: false,
    passWithNoTests: false,
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          // Properties run thousands of cases, and must hold on a machine that has twenty other things to do.
          ...{ testTimeout: 120_000, hookTimeout: 120_000 },
          // Wherever they stand, but for those with servers, which are projects of their own.
          include: ['**/*.test.ts'],
          exclude: ['test/**', 'node_modules/**', '.*/**'],
        },
      },
      withServers('integration'),
      withServers('workflows'),
      withServers('replay'),
      withServers('faults'),
      withServers('attacks'),
      withServers('e2e'),
    ],
  },
});

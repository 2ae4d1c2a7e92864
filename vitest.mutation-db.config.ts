import { defineConfig } from 'vitest/config';

/** Those that send statements within their own process: faults are planted there. */
const TESTS = [
  ...['ai-audit', 'apply-schedules', 'audit-chain', 'audit-maintenance', 'audit-verify', 'claims'],
  ...['compaction', 'connections', 'fair-projection', 'grant-races', 'healing', 'inputs'],
  ...['once-and-by-the-database', 'paid-replies', 'planner-rounds', 'projection', 'reconcile-schedules'],
  ...['record-rows', 'research', 'runner-rows', 'sealing', 'shared-spaces', 'slots', 'time-zones'],
  ...['token-budgets', 'windows', 'words-and-grants', 'write-back'],
];

/** The tests of statements that `bin/yarn test:mutation:db` runs against faults planted in `db/`. */
export default defineConfig({
  test: {
    include: TESTS.map((name) => `test/integration/${name}.test.ts`),
    globalSetup: ['test/support/global-setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});

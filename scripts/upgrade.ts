/**
 * Rolling upgrades and restarts under load (docs/reliability.md): `bin/yarn test:upgrade`. Starts a service of its own for each; ends with 1
 * where the checker complains, a process did not end with 0 in its grace time, or an attempt failed.
 */
import { commandLine, numberAboveZero, someOf } from '#dev/command-line.ts';
import { restarts, upgrade, versionBefore, type RollingResult } from '#test/faults/long/upgrade.ts';

const NAMES = ['upgrade', 'restarts'] as const;
type Name = (typeof NAMES)[number];

const { seed, missions, minutes, ...values } = commandLine(
  'bin/yarn test:upgrade',
  'Rolling upgrades and restarts under load, on a service of its own for each (docs/reliability.md).',
)
  .option('--seed <n>', 'of missions and restarts', numberAboveZero, 1)
  .option('--missions <n>', 'of each', numberAboveZero, 60)
  .option('--minutes <n>', 'in which they come', numberAboveZero, 1)
  .option('--restarts <n>', 'of processes', numberAboveZero, 30)
  .option('--commit <commit>', 'the version before', versionBefore())
  .option('--only <names>', `some of ${NAMES.join(', ')}; both by default`, someOf(NAMES))
  .parse()
  .opts<{
    seed: number;
    missions: number;
    minutes: number;
    restarts: number;
    commit: string;
    only?: readonly Name[];
  }>();

const LONGEST_DRAIN_MS = 32_000;

const options = { seed, missions, forMs: minutes * 60_000 };
const works: Readonly<Record<Name, () => Promise<RollingResult>>> = {
  upgrade: () => upgrade(values.commit, options),
  restarts: () => restarts(values.restarts, options),
};

for (const name of values.only ?? NAMES) {
  const result = await works[name]();
  const { drains, ...rest } = result;
  const bad = drains.filter(({ code, tookMs }) => code !== 0 || tookMs > LONGEST_DRAIN_MS);
  const longest = Math.max(...drains.map(({ tookMs }) => tookMs));
  const busy = Object.groupBy(drains, ({ moment }) => moment);
  const moments = Object.fromEntries(Object.entries(busy).map(([moment, of]) => [moment, of.length]));
  const summary = { drains: drains.length, longestMs: longest, moments, bad };
  console.info(JSON.stringify({ name, ...rest, ...summary }, null, 2));
  if (bad.length > 0 || result.violations.length > 0 || result.laterAttempts.length > 0) process.exitCode = 1;
}

/**
 * Rolling upgrades and restarts under load (docs/reliability.md): `bin/yarn test:upgrade`. Starts a service of its own for each; ends with 1
 * where the checker complains, a process did not end with 0 in its grace time, or an attempt failed.
 */
import { parseArgs } from 'node:util';
import { restarts, upgrade, versionBefore, type RollingResult } from '#test/faults/long/upgrade.ts';
import { numberOption } from './number-option.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    missions: { type: 'string', default: '60' },
    minutes: { type: 'string', default: '1' },
    restarts: { type: 'string', default: '30' },
    commit: { type: 'string', default: versionBefore() },
    only: { type: 'string', default: 'upgrade,restarts' },
  },
});

function fail(text: string): never {
  console.error(text);
  process.exit(2);
}

const numberOf = (name: 'seed' | 'missions' | 'minutes' | 'restarts'): number =>
  numberOption(name, values[name]);

const LONGEST_DRAIN_MS = 32_000;

const options = {
  seed: numberOf('seed'),
  missions: numberOf('missions'),
  forMs: numberOf('minutes') * 60_000,
};
const works: Readonly<Record<string, () => Promise<RollingResult>>> = {
  upgrade: () => upgrade(values.commit, options),
  restarts: () => restarts(numberOf('restarts'), options),
};
const names = values.only.split(',');
for (const name of names)
  if (!Object.hasOwn(works, name))
    fail(`--only: found ${name}, expected some of ${Object.keys(works).join(', ')}`);

for (const name of names) {
  const result = await works[name]?.();
  if (result === undefined) continue;
  const { drains, ...rest } = result;
  const bad = drains.filter(({ code, tookMs }) => code !== 0 || tookMs > LONGEST_DRAIN_MS);
  const longest = Math.max(...drains.map(({ tookMs }) => tookMs));
  const busy = Object.groupBy(drains, ({ moment }) => moment);
  const moments = Object.fromEntries(Object.entries(busy).map(([moment, of]) => [moment, of.length]));
  const summary = { drains: drains.length, longestMs: longest, moments, bad };
  console.info(JSON.stringify({ name, ...rest, ...summary }, null, 2));
  if (bad.length > 0 || result.violations.length > 0 || result.laterAttempts.length > 0) process.exitCode = 1;
}

/**
 * `bin/yarn bench:projection [--small] [part …]`: what a pass costs over long logs, the first build, schedules on a real server,
 * and how late schedules and runs are, late-seen ones too. Prints Markdown for docs/performance.md, with the machine and its load.
 */
import { parseArgs } from 'node:util';
import { machine } from './measure.ts';
import { benchDueLag } from './projection/due-lag.ts';
import { benchInitialBuild } from './projection/initial-build.ts';
import { benchLag } from './projection/lag.ts';
import { benchPassTime } from './projection/pass-time.ts';
import { benchLateSeen } from './projection/late-seen.ts';
import { POOL_SIZE } from './projection/projection-deps.ts';
import { benchRealSchedules } from './projection/real-schedules.ts';
import { withPostgres, type BenchPostgres } from './servers.ts';

const FULL = {
  passes: { logs: [10_000, 100_000, 1_000_000], samples: 30, warmUps: 5 },
  initialBuild: 100_000,
  schedules: 2_000,
  lagSamples: 300,
  due: 1_000,
  lateSeen: 300,
};
const SMALL: typeof FULL = {
  passes: { logs: [1_000, 5_000], samples: 5, warmUps: 1 },
  initialBuild: 500,
  schedules: 40,
  lagSamples: 10,
  due: 20,
  lateSeen: 20,
};

const { values, positionals } = parseArgs({
  options: { small: { type: 'boolean', default: false } },
  allowPositionals: true,
});
const sizes = values.small ? SMALL : FULL;

/** The first build first: its memory is that of a fresh process. */
const PARTS: Readonly<Record<string, (postgres: BenchPostgres) => Promise<string>>> = {
  'initial-build': (postgres) => benchInitialBuild(postgres, sizes.initialBuild),
  'pass-time': (postgres) => benchPassTime(postgres, sizes.passes),
  'real-schedules': (postgres) => benchRealSchedules(postgres, sizes.schedules),
  lag: (postgres) => benchLag(postgres, sizes.lagSamples),
  'late-seen': (postgres) => benchLateSeen(postgres, sizes.lateSeen),
  'due-lag': () => benchDueLag(sizes.due),
};

const unknown = positionals.filter((name) => !(name in PARTS));
if (unknown.length > 0)
  throw new Error(`no part ${unknown.join(', ')}; there are ${Object.keys(PARTS).join(', ')}`);

await withPostgres(async (postgres) => {
  console.log(
    `${POOL_SIZE} connections, PostgreSQL without fsync, Temporal's development server in memory.\n`,
  );
  for (const [name, part] of Object.entries(PARTS)) {
    if (positionals.length > 0 && !positionals.includes(name)) continue;
    const before = machine();
    const report = await part(postgres);
    console.log(`${report}\nBefore: ${before}\nAfter: ${machine()}\n`);
  }
});

import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { WorkerOptions } from '@temporalio/worker';
import { inTurn, quantile } from './measure.ts';
import { cpuMs } from './missions/cpu.ts';
import { runMissions, writeMissions, writePlainMissions, type LoadedMission } from './missions/load.ts';
import type { Cell, Findings, PartOptions, Table } from './results/result.ts';
import { replyWithText, startScriptedGateway } from '#dev/scripted-gateway.ts';
import { startStack, type Stack } from '#dev/stack.ts';

const FULL = { plain: 80, encrypted: 40, turns: 3 };
const SMALL: typeof FULL = { plain: 5, encrypted: 3, turns: 1 };

const SERVICE_KEY = 'bench-service-key';
/** Of each kind; what compiles at first does not count. */
const WARM_UP = 10;

/** A worker as it is shipped, but for these settings. */
interface Variant {
  readonly name: string;
  readonly environment: Readonly<Record<string, string>>;
}

const SHIPPED: Variant = { name: 'as shipped', environment: {} };

/** What the product does not set: see `worker-options.ts`. */
const withOptions = (name: string, options: Partial<WorkerOptions>): Variant => ({
  name,
  environment: {
    NODE_OPTIONS: `--import=${pathToFileURL(join(import.meta.dirname, 'settings', 'worker-options.ts')).href}`,
    BENCH_WORKER_OPTIONS: JSON.stringify(options),
  },
});

const pollers = (name: string, behavior: NonNullable<WorkerOptions['workflowTaskPollerBehavior']>): Variant =>
  withOptions(name, { workflowTaskPollerBehavior: behavior, activityTaskPollerBehavior: behavior });

const RUNNERS: readonly Variant[] = [
  SHIPPED,
  pollers('2 pollers of workflow tasks and 2 of activities', { type: 'simple-maximum', maximum: 2 }),
  pollers('1 to 100 pollers of each, as the server says', { type: 'autoscaling' }),
  withOptions('10 cached workflows', { maxCachedWorkflows: 10 }),
];

const connections = (count: number): Variant => ({
  name: `DATABASE_MAX_CONNECTIONS=${count}`,
  environment: { DATABASE_MAX_CONNECTIONS: String(count) },
});

const VAULTS: readonly Variant[] = [connections(2), SHIPPED, connections(10)];

/** The same runner and the same vault with a few settings, in turns: one system, of which one process is started anew for each. */
export async function benchSettings({ isSmall }: PartOptions): Promise<Findings> {
  const { plain, encrypted, turns } = isSmall ? SMALL : FULL;
  const gateway = await startScriptedGateway({
    serviceKey: SERVICE_KEY,
    script: () => Promise.resolve(replyWithText('Nothing has to be done.')),
  });
  const stack = await startStack({
    ports: {},
    gateway: { url: gateway.url, serviceKey: SERVICE_KEY, model: 'mana/reasoning', settings: {} },
    say: () => undefined,
  });
  try {
    const runners = await compare(stack, 'runner', RUNNERS, turns, {
      count: plain,
      write: (count) => writePlainMissions(stack, count),
    });
    await stack.restartProgram('runner');
    const vaults = await compare(stack, 'vault', VAULTS, turns, {
      count: encrypted,
      write: (count) => writeMissions(stack, count),
    });
    return {
      settings: { turns, 'a call takes (ms)': 0, rounds: 1 },
      tables: [
        tableOf(`${plain} plain missions at once, by settings of the runner`, 'runner', runners),
        tableOf(`${encrypted} encrypted missions at once, by settings of the vault worker`, 'vault', vaults),
      ],
    };
  } finally {
    await stack.stop();
    await gateway.close();
  }
}

interface Missions {
  readonly count: number;
  readonly write: (count: number) => Promise<readonly LoadedMission[]>;
}

interface Measured {
  readonly rates: number[];
  /** Milliseconds of the process for each mission. */
  readonly cpu: number[];
}

async function compare(
  stack: Stack,
  program: 'runner' | 'vault',
  variants: readonly Variant[],
  turns: number,
  { count, write }: Missions,
): Promise<ReadonlyMap<Variant, Measured>> {
  const found = new Map(variants.map((variant): [Variant, Measured] => [variant, { rates: [], cpu: [] }]));
  for (let turn = 0; turn < turns; turn += 1) {
    for (const [variant, { rates, cpu }] of inTurn([...found], turn)) {
      const missions = await write(count);
      await stack.restartProgram(program, variant.environment);
      await runMissions(stack, await write(Math.min(WARM_UP, count)));
      const pid = stack.pids()[program] ?? NaN;
      const beforeMs = cpuMs(pid);
      rates.push(await runMissions(stack, missions));
      cpu.push((cpuMs(pid) - beforeMs) / count);
    }
  }
  return found;
}

function tableOf(title: string, program: string, found: ReadonlyMap<Variant, Measured>): Table {
  const shipped = quantile(found.get(SHIPPED)?.rates ?? [], 0.5);
  return {
    title,
    header: ['setting', 'missions a second', 'ratio to as shipped', `CPU of the ${program} a mission (ms)`],
    rows: [...found].map(([{ name }, { rates, cpu }]): Cell[] => [
      ...[name, rates, quantile(rates, 0.5) / shipped, cpu],
    ]),
  };
}

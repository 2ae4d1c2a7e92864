import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { startDbos } from './baselines/dbos.ts';
import { preparePoller } from './baselines/poller.ts';
import { inTurn, quantile } from './measure.ts';
import { cpuMs } from './missions/cpu.ts';
import { runFloor, runMissions, writeMissions } from './missions/load.ts';
import type { Aim, Findings, PartOptions } from './results/result.ts';
import { startBenchSystem } from './system.ts';
import { logTail, spawnProcess, waitUntilReady, type ManagedProcess } from '#dev/processes.ts';
import { replyWithText, replyWithToolCalls, startScriptedGateway } from '#dev/scripted-gateway.ts';
import { startStack, type Stack } from '#dev/stack.ts';
import { createGateway } from '#llm/gateway.ts';

const FULL = { missions: 150, turns: 3, latencies: [0, 200, 1_000, 5_000] };
const SMALL: typeof FULL = { missions: 5, turns: 1, latencies: [0, 200] };

const SERVICE_KEY = 'bench-service-key';
/** The poller takes two latencies for each. */
const POLLED_FOR_MS = 6_000;
const MOST_POLLED = 40;
const WARM_UP = 20;

/** One way to plan missions. */
interface Contender {
  readonly name: string;
  /** Processes whose CPU counts. */
  readonly pids: Readonly<Record<string, number>>;
  /** How many missions are enough where a call takes so long. */
  readonly count: (ms: number) => number;
  /** Writes the missions. @returns what runs them, and tells how many a second */
  readonly prepare: (count: number, ms: number) => Promise<() => Promise<number>>;
}

const PRODUCT = 'product';
const FLOOR = 'same shape, empty';
const EMPTY = 'empty workflow';
const POLLER = 'sequential poller';
const DBOS = 'DBOS';
/** By their queues. */
const FLOOR_WORKERS = ['floor', 'floor-vault'];

/**
 * Encrypted missions of two rounds, all due at once, against the floors of Temporal, the same mission on DBOS and a sequential poller,
 * in turns. Every process runs on its own, as in production.
 */
export async function benchMissions({ isSmall }: PartOptions): Promise<Findings> {
  const { missions, turns, latencies } = isSmall ? SMALL : FULL;
  let latencyMs = 0;
  const gateway = await startScriptedGateway({
    serviceKey: SERVICE_KEY,
    script: async ({ body }) => {
      await delay(latencyMs);
      return body.messages.some(({ role }) => role === 'tool')
        ? replyWithText('One task is planned.')
        : replyWithToolCalls([{ name: 'create_task', arguments: { title: 'Pack the tent' } }]);
    },
  });
  const at = { url: gateway.url, serviceKey: SERVICE_KEY };
  const stack = await startStack({
    ports: {},
    gateway: { ...at, model: 'mana/reasoning', settings: {} },
    say: () => undefined,
  });
  const system = await startBenchSystem();
  const dbos = await startDbos(system, at, stack.directory);
  const floor = await Promise.all(FLOOR_WORKERS.map((queue) => startFloorWorker(stack, queue)));
  const polled = (ms: number): number =>
    Math.min(MOST_POLLED, missions, Math.max(1, Math.round(POLLED_FOR_MS / (2 * ms + 50))));
  const floorPids = Object.fromEntries(floor.map(({ pid }, index) => [FLOOR_WORKERS[index] ?? '', pid]));
  const bare = (name: string, workflow: 'floorRun' | 'emptyRun'): Contender => ({
    ...{ name, pids: workflow === 'floorRun' ? floorPids : {}, count: () => missions },
    prepare: (count, ms) => Promise.resolve(() => runFloor(stack, workflow, count, ms)),
  });
  const contenders: Contender[] = [
    {
      ...{ name: PRODUCT, pids: stack.pids(), count: () => missions },
      prepare: async (count) => {
        const written = await writeMissions(stack, count);
        return () => runMissions(stack, written);
      },
    },
    ...[bare(FLOOR, 'floorRun'), bare(EMPTY, 'emptyRun')],
    {
      ...{ name: DBOS, pids: { [DBOS]: dbos.pid }, count: () => missions },
      prepare: (count) => dbos.prepare(count),
    },
    {
      ...{ name: POLLER, pids: {}, count: polled },
      prepare: (count) =>
        preparePoller(system, createGateway({ baseUrl: gateway.url, serviceKey: SERVICE_KEY }), count),
    },
  ];
  const measured = new Measured();
  try {
    for (const { count, prepare } of contenders) await (await prepare(Math.min(WARM_UP, count(0)), 0))();
    for (const ms of latencies) {
      latencyMs = ms;
      for (let turn = 0; turn < turns; turn += 1)
        for (const contender of inTurn(contenders, turn)) await measured.add(contender, ms);
    }
  } finally {
    await Promise.all(floor.map((worker) => worker.stop()));
    await dbos.stop();
    await system.close();
    await stack.stop();
    await gateway.close();
  }
  return findingsOf(measured, contenders, { missions, turns, latencies });
}

/** Rates and CPU of each turn. */
class Measured {
  readonly #values = new Map<string, number[]>();

  async add({ name, pids, count, prepare }: Contender, ms: number): Promise<void> {
    const missions = count(ms);
    const run = await prepare(missions, ms);
    const before = Object.entries(pids).map(([process, pid]): [string, number] => [process, cpuMs(pid)]);
    this.#note(`rate ${name} ${ms}`, await run());
    for (const [process, usedMs] of before)
      this.#note(`cpu ${process} ${ms}`, (cpuMs(pids[process] ?? 0) - usedMs) / missions);
  }

  #note(key: string, value: number): void {
    this.#values.set(key, [...(this.#values.get(key) ?? []), value]);
  }

  rates(name: string, ms: number): readonly number[] {
    return this.#values.get(`rate ${name} ${ms}`) ?? [];
  }

  /** Milliseconds for each mission. */
  cpu(process: string, ms: number): readonly number[] {
    return this.#values.get(`cpu ${process} ${ms}`) ?? [];
  }

  ratio(to: string, ms: number): number {
    return quantile(this.rates(PRODUCT, ms), 0.5) / quantile(this.rates(to, ms), 0.5);
  }
}

function findingsOf(
  measured: Measured,
  contenders: readonly Contender[],
  { missions, turns, latencies }: typeof FULL,
): Findings {
  const processes = Object.keys(contenders[0]?.pids ?? {});
  const together = (names: readonly string[], ms: number): number[] =>
    Array.from({ length: turns }, (_, turn) =>
      names.reduce((sum, process) => sum + (measured.cpu(process, ms)[turn] ?? NaN), 0),
    );
  const slow = latencies.filter((ms) => ms >= 1_000);
  const aims: Aim[] = [
    ...latencies.map((ms) => ({
      ...{ what: `Ratio to the same shape at ${ms} ms`, found: measured.ratio(FLOOR, ms), atLeast: 0.7 },
    })),
    ...slow.slice(0, 1).map((ms) => ({
      ...{ what: `Times the sequential poller at ${ms} ms`, found: measured.ratio(POLLER, ms), atLeast: 34 },
    })),
    ...slow.map((ms) => ({
      ...{ what: `Ratio to DBOS at ${ms} ms`, found: measured.ratio(DBOS, ms), atLeast: 1 },
    })),
    ...latencies.map((ms) => ({
      what: `CPU of our processes for each mission at ${ms} ms of latency (ms)`,
      ...{ found: quantile(together(processes, ms), 0.5), atMost: 60 },
    })),
  ];
  return {
    settings: { 'missions at once': missions, turns, rounds: 2, notes: '3 of 2 kB' },
    tables: [
      {
        title: 'Missions a second',
        header: [
          'a call takes (ms)',
          ...contenders.map(({ name }) => name),
          ...[FLOOR, POLLER, DBOS].map((name) => `product : ${name}`),
        ],
        rows: latencies.map((ms) => [
          ms,
          ...contenders.map(({ name }) => measured.rates(name, ms)),
          ...[FLOOR, POLLER, DBOS].map((name) => measured.ratio(name, ms)),
        ]),
      },
      {
        title: 'CPU for each mission (ms)',
        header: [
          ...['a call takes (ms)', ...processes, 'ours together'],
          ...['workers of the same shape', 'the process of DBOS'],
        ],
        rows: latencies.map((ms) => [
          ms,
          ...processes.map((process) => measured.cpu(process, ms)),
          ...[together(processes, ms), together(FLOOR_WORKERS, ms), measured.cpu(DBOS, ms)],
        ]),
      },
    ],
    aims,
    plots: [
      {
        ...{ name: 'rates', table: 0, kind: 'bar', unit: 'missions a second', logarithmic: true },
        columns: contenders.map((_, index) => index + 1),
      },
    ],
  };
}

async function startFloorWorker({ directory, temporal }: Stack, queue: string): Promise<ManagedProcess> {
  const logFile = join(directory, `${queue}.log`);
  const worker = await spawnProcess({
    ...{ name: queue, command: process.execPath, logFile, env: {} },
    args: [join(import.meta.dirname, 'baselines', 'floor-worker.ts'), temporal.address, queue],
  });
  await waitUntilReady(worker, () => Promise.resolve(logTail(logFile).includes('polling')), 60_000);
  return worker;
}

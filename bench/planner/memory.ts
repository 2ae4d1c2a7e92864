import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { closeRun, NOTE_BYTES, NOTES, beginRun, runnerDeps, writeMission } from './opened-mission.ts';
import type { Cell, Table } from '#bench/results/result.ts';
import { eachOf, until } from '#bench/servers.ts';
import { POOL_SIZE, type BenchSystem } from '#bench/system.ts';
import { planOneRound } from '#activities/runner/round/one-round.ts';
import { createTemporaryDirectory } from '#dev/guardian.ts';
import { logTail, spawnProcess, type ManagedProcess } from '#dev/processes.ts';
import { createGateway } from '#llm/gateway.ts';
import type { PlanRoundInput } from '#domain/run/run.ts';

const SERVICE_KEY = 'bench-service-key';
const MIB = 2 ** 20;
const LONGEST_MS = 300_000;
const NEVER = new AbortController().signal;

/** So many rounds in flight at once, all waiting for the gateway: what they hold in this process. */
export async function benchMemory(system: BenchSystem, rounds: number): Promise<Table> {
  const directory = createTemporaryDirectory('mana-bench-');
  const logFile = join(directory.path, 'gateway.log');
  const holding = await startHoldingGateway(rounds, logFile);
  try {
    const gateway = createGateway({ baseUrl: await urlOf(logFile), serviceKey: SERVICE_KEY });
    const deps = runnerDeps(system, gateway);
    const runs: PlanRoundInput[] = [];
    await eachOf(Array.from({ length: rounds }), POOL_SIZE, async () => {
      runs.push(await beginRun(deps, system, await writeMission(system)));
    });
    const before = settledMemory();
    const planned = Promise.all(runs.map((run) => planOneRound(deps, run, NEVER)));
    const isHolding = (): boolean => logTail(logFile).includes('holding');
    await Promise.race([until('all rounds are in flight', isHolding, LONGEST_MS), planned]);
    const unsettled = process.memoryUsage();
    const during = settledMemory();
    process.kill(holding.pid, 'SIGUSR2');
    const results = await planned;
    if (results.some(({ status }) => status !== 'finished')) throw new Error('a round has not finished');
    await Promise.all(runs.map((run) => closeRun(deps, run)));
    const after = settledMemory();
    const row = (when: string, memory: NodeJS.MemoryUsage): Cell[] => [
      when,
      ...[memory.rss, memory.heapUsed, memory.external].map((bytes) => Math.round(bytes / MIB)),
      Math.round((memory.heapUsed + memory.external - before.heapUsed - before.external) / 1024 / rounds),
    ];
    return {
      title: `${rounds} rounds in flight, ${NOTES} notes of ${NOTE_BYTES} bytes each, all waiting for the gateway`,
      header: ['when', 'RSS (MiB)', 'heap used (MiB)', 'external (MiB)', 'more than before, per round (KiB)'],
      rows: [
        row('before', before),
        row('in flight, uncollected', unsettled),
        row('in flight, collected', during),
        row('after', after),
      ],
    };
  } finally {
    await holding.stop();
    directory.remove();
  }
}

const startHoldingGateway = (rounds: number, logFile: string): Promise<ManagedProcess> =>
  spawnProcess({
    name: 'the holding gateway',
    command: process.execPath,
    args: [join(import.meta.dirname, 'holding-gateway.ts')],
    env: { SERVICE_KEY, HOLD: String(rounds) },
    logFile,
  });

async function urlOf(logFile: string): Promise<string> {
  const port = (): string | undefined => /listening (\d+)/.exec(logTail(logFile))?.[1];
  await until('the gateway listens', () => port() !== undefined, 20_000);
  return `http://127.0.0.1:${port() ?? ''}`;
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Without what nobody holds any more. */
function settledMemory(): NodeJS.MemoryUsage {
  collectGarbage();
  return process.memoryUsage();
}

/**
 * `bin/yarn bench:missions [--missions N] [--turns N] [--latency MS,MS…] [--json FILE]`: whole missions against the floor of Temporal
 * and against a sequential poller, in turns. Every process runs on its own, as in production. Prints Markdown for
 * docs/performance.md.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { cpuMs } from './missions/cpu.ts';
import { runFloor, runMissions, writeMissions } from './missions/load.ts';
import { pollSequentially } from './missions/poller.ts';
import { machine, plainTable, quantile } from './measure.ts';
import { startBenchSystem } from './system.ts';
import { logTail, spawnProcess, waitUntilReady, type ManagedProcess } from '#dev/processes.ts';
import { replyWithText, replyWithToolCalls, startScriptedGateway } from '#dev/scripted-gateway.ts';
import { startStack, type Stack } from '#dev/stack.ts';
import { createGateway } from '#llm/gateway.ts';

const { values } = parseArgs({
  options: {
    missions: { type: 'string', default: '200' },
    turns: { type: 'string', default: '3' },
    latency: { type: 'string', default: '0,1000' },
    json: { type: 'string' },
  },
});
const missions = Number(values.missions);
const turns = Number(values.turns);
const latencies = values.latency.split(',').map(Number);

const SERVICE_KEY = 'bench-service-key';
/** The poller takes two latencies for each. */
const POLLED_FOR_MS = 12_000;
const MOST_POLLED = 40;
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

type Variant = 'product' | 'floor' | 'empty' | 'poller';
/** Missions a second. */
const rates = new Map<string, number[]>();
const cpu = new Map<string, number[]>();
const note = (into: Map<string, number[]>, key: string, value: number): void => {
  into.set(key, [...(into.get(key) ?? []), value]);
};
const rateKey = (variant: Variant, ms: number): string => `${variant} ${ms}`;

const before = machine();
const stack = await startStack({
  ports: {},
  gateway: { url: gateway.url, serviceKey: SERVICE_KEY, model: 'mana/reasoning', settings: {} },
  say: () => undefined,
});
const system = await startBenchSystem();
const floor = await Promise.all(['floor', 'floor-vault'].map((queue) => startFloorWorker(stack, queue)));
try {
  await turn(0, Math.min(missions, 40), false);
  for (const ms of latencies) {
    for (let index = 0; index < turns; index += 1) await turn(ms, missions, true);
  }
} finally {
  await Promise.all(floor.map((worker) => worker.stop()));
  await system.close();
  await stack.stop();
  await gateway.close();
}
report();

async function turn(ms: number, count: number, counts: boolean): Promise<void> {
  latencyMs = ms;
  const written = await writeMissions(stack, count);
  const pids = Object.entries(stack.pids());
  const usedBefore = pids.map(([, pid]) => cpuMs(pid));
  const results: [Variant, number][] = [['product', await runMissions(stack, written)]];
  const used = pids.map(([name, pid], index): [string, number] => [
    name,
    (cpuMs(pid) - (usedBefore[index] ?? 0)) / count,
  ]);
  results.push(['floor', await runFloor(stack, 'floorRun', count, ms)]);
  results.push(['empty', await runFloor(stack, 'emptyRun', count, ms)]);
  const polled = Math.min(MOST_POLLED, Math.max(3, Math.round(POLLED_FOR_MS / (2 * ms + 50))));
  const ofPoller = createGateway({ baseUrl: gateway.url, serviceKey: SERVICE_KEY });
  results.push(['poller', await pollSequentially(system, ofPoller, polled)]);
  if (!counts) return;
  for (const [variant, rate] of results) note(rates, rateKey(variant, ms), rate);
  for (const [name, each] of used) note(cpu, `${name} ${ms}`, each);
}

async function startFloorWorker({ directory, temporal }: Stack, queue: string): Promise<ManagedProcess> {
  const logFile = join(directory, `${queue}.log`);
  const worker = await spawnProcess({
    ...{ name: queue, command: process.execPath, logFile, env: {} },
    args: [join(import.meta.dirname, 'missions', 'floor-worker.ts'), temporal.address, queue],
  });
  await waitUntilReady(worker, () => Promise.resolve(logTail(logFile).includes('polling')), 60_000);
  return worker;
}

function report(): void {
  const median = (of: readonly number[] = []): number => quantile(of, 0.5);
  const spread = (of: readonly number[] = []): string =>
    `${Math.min(...of).toFixed(1)} / ${median(of).toFixed(1)} / ${Math.max(...of).toFixed(1)}`;
  const rateOf = (variant: Variant, ms: number): readonly number[] => rates.get(rateKey(variant, ms)) ?? [];
  const ratio = (ms: number, to: Variant): string =>
    (median(rateOf('product', ms)) / median(rateOf(to, ms))).toFixed(2);
  console.log(
    plainTable(
      `${missions} encrypted missions of two rounds, due at once: missions a second (least / median / most of ${turns})`,
      [
        'gateway',
        'product',
        'same shape, empty',
        'empty workflow',
        'poller',
        'product : same shape',
        'product : poller',
      ],
      latencies.map((ms) => [
        `${ms} ms`,
        ...(['product', 'floor', 'empty', 'poller'] as const).map((variant) => spread(rateOf(variant, ms))),
        ...[ratio(ms, 'floor'), ratio(ms, 'poller')],
      ]),
    ),
  );
  const names = [...new Set([...cpu.keys()].map((key) => key.split(' ')[0] ?? ''))];
  console.log(
    plainTable(
      'CPU of our processes for each mission (ms, median)',
      ['gateway', ...names, 'together'],
      latencies.map((ms) => {
        const each = names.map((name) => median(cpu.get(`${name} ${ms}`)));
        return [
          `${ms} ms`,
          ...[...each, each.reduce((sum, one) => sum + one, 0)].map((one) => one.toFixed(0)),
        ];
      }),
    ),
  );
  console.log(`Before: ${before}\nAfter: ${machine()}`);
  if (values.json !== undefined) {
    const data = {
      missions,
      turns,
      before,
      after: machine(),
      rates: Object.fromEntries(rates),
      cpu: Object.fromEntries(cpu),
    };
    writeFileSync(values.json, `${JSON.stringify(data, null, 2)}\n`);
  }
}

import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { processFigures } from './missions/process-figures.ts';
import { runMissions, startMissionRun, untilEnded, writePlainMissions } from './missions/load.ts';
import type { Cell, Findings, PartOptions } from './results/result.ts';
import { eachOf, until } from './servers.ts';
import { gate, replyWithText, startScriptedGateway, type Gate } from '#dev/scripted-gateway.ts';
import { startStack, type Stack } from '#dev/stack.ts';
import { MISSION_RUN_WORKFLOW_TYPE } from '#temporal/messages.ts';

const FULL = { levels: [100, 1_000, 5_000], holdMs: 20_000, pools: [2, 4, 10], missions: 150, turns: 3 };
const SMALL: typeof FULL = { levels: [5], holdMs: 1_000, pools: [2], missions: 5, turns: 1 };

const SERVICE_KEY = 'bench-service-key';
const AT_A_TIME = 40;
/** Less than a call may take, with the hold. */
const OPEN_WITHIN_MS = 480_000;
const MIB = 2 ** 20;

/** One runner with thousands of missions that all wait for the gateway; then, how fast it is with more connections to PostgreSQL. */
export async function benchInFlight({ isSmall }: PartOptions): Promise<Findings> {
  const sizes = isSmall ? SMALL : FULL;
  const held: Cell[][] = [];
  for (const missions of sizes.levels) held.push(await holding(missions, sizes.holdMs));
  const pools: Cell[][] = [];
  for (const connections of sizes.pools) pools.push([connections, await ratesOf(connections, sizes)]);
  return {
    settings: {
      MANA_LLM_MAX_IN_FLIGHT: 10_000,
      'held for (s)': sizes.holdMs / 1_000,
      missions: 'plain, one round',
    },
    tables: [
      {
        title: 'Missions in flight in one runner, all waiting for the gateway',
        header: [
          ...[
            'missions',
            'in flight',
            'until all were (s)',
            'RSS before (MiB)',
            'RSS (MiB)',
            'a mission (KiB)',
          ],
          ...[
            'event loop p99 while they come (ms)',
            'while they wait (ms)',
            'asked again',
            'all had ended after (s)',
          ],
        ],
        rows: held,
      },
      {
        title: `${sizes.missions} missions at once, gateway at 0 ms: missions a second by DATABASE_MAX_CONNECTIONS of the runner`,
        header: ['connections', 'missions a second'],
        rows: pools,
      },
    ],
    aims: held.map(([missions = NaN, , , , , , , , askedAgain = NaN]) => ({
      what: `Calls asked again with ${Number(missions).toLocaleString('en')} in flight: heartbeats that came too late`,
      ...{ found: Number(askedAgain), atMost: 0 },
    })),
    plots: [{ name: 'memory', table: 0, kind: 'bar', unit: 'KiB a mission', columns: [5] }],
  };
}

/** A whole system of its own, so that nothing is left of those before. */
async function withRunner<T>(
  settings: Readonly<Record<string, string>>,
  script: () => ReturnType<Gate['hold']>,
  work: (stack: Stack, asked: () => number) => Promise<T>,
): Promise<T> {
  const gateway = await startScriptedGateway({ serviceKey: SERVICE_KEY, script });
  try {
    const stack = await startStack({
      ports: {},
      gateway: { url: gateway.url, serviceKey: SERVICE_KEY, model: 'mana/reasoning', settings },
      say: () => undefined,
    });
    try {
      return await work(stack, () => gateway.requests.length);
    } finally {
      await stack.stop();
    }
  } finally {
    await gateway.close();
  }
}

const REPLY = replyWithText('Nothing has to be done.');

function holding(count: number, holdMs: number): Promise<Cell[]> {
  const held = gate();
  const settings = { MANA_LLM_MAX_IN_FLIGHT: '10000', MANA_LLM_TIMEOUT_SECONDS: '570' };
  return withRunner(
    settings,
    () => held.hold(REPLY),
    async (stack, asked) => {
      const missions = await writePlainMissions(stack, count);
      const before = await processFigures(stack.urls.runner);
      const startedMs = performance.now();
      const label = randomUUID();
      await eachOf(missions, AT_A_TIME, (mission) => startMissionRun(stack, label, mission));
      await until('all missions are in flight', () => asked() >= count, OPEN_WITHIN_MS);
      const openSeconds = (performance.now() - startedMs) / 1_000;
      const coming = await processFigures(stack.urls.runner);
      await delay(holdMs);
      const waiting = await processFigures(stack.urls.runner);
      const releasedMs = performance.now();
      held.open();
      await untilEnded(stack, MISSION_RUN_WORKFLOW_TYPE, label, count);
      return [
        ...[
          count,
          asked(),
          openSeconds,
          Math.round(before.rssBytes / MIB),
          Math.round(waiting.rssBytes / MIB),
        ],
        (waiting.rssBytes - before.rssBytes) / 1_024 / count,
        ...[coming.eventLoopP99Ms, waiting.eventLoopP99Ms, asked() - count],
        (performance.now() - releasedMs) / 1_000,
      ];
    },
  );
}

const ratesOf = (connections: number, { missions, turns }: typeof FULL): Promise<number[]> =>
  withRunner(
    { DATABASE_MAX_CONNECTIONS: String(connections) },
    () => Promise.resolve(REPLY),
    async (stack) => {
      const rates: number[] = [];
      for (let turn = -1; turn < turns; turn += 1) {
        const rate = await runMissions(stack, await writePlainMissions(stack, missions));
        if (turn >= 0) rates.push(rate);
      }
      return rates;
    },
  );

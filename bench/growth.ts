import { openSockets } from './growth/sockets.ts';
import { fillUsers, writeHistory } from './growth/rows.ts';
import { sqlTimeMs } from './growth/sql-time.ts';
import { quantile } from './measure.ts';
import { NOTES, runnerDeps, beginRun } from './planner/opened-mission.ts';
import { fillLog } from './projection/log-rows.ts';
import type { Aim, Findings, PartOptions } from './results/result.ts';
import { withPostgres, type BenchPostgres } from './servers.ts';
import {
  openBenchSystem,
  openPools,
  writeBenchMission,
  type BenchMission,
  type BenchSystem,
} from './system.ts';
import { planOneRound } from '#activities/runner/round/one-round.ts';
import { writeIteration } from '#activities/runner/write-iteration.ts';
import type { PlatformDatabases } from '#dev/databases.ts';
import { replyWithText, replyWithToolCalls, startScriptedGateway } from '#dev/scripted-gateway.ts';
import { createGateway, type Gateway } from '#llm/gateway.ts';

const FULL = {
  missions: 10,
  turns: 4,
  histories: [0, 100, 1_000],
  logs: [10_000, 1_000_000],
  users: [10, 10_000],
};
const SMALL: typeof FULL = {
  missions: 2,
  turns: 1,
  histories: [0, 5],
  logs: [1_000, 2_000],
  users: [10, 20],
};
const INPUT_BYTES = [1_000, 200_000];
const SMALL_INPUT = 2_048;
/** Rows of the log where users differ. */
const ROWS_OF_USERS = 20_000;
const SERVICE_KEY = 'bench-service-key';
const NEVER = new AbortController().signal;

/** Databases, and what runs on them. */
interface Place {
  readonly databases: PlatformDatabases;
  readonly system: BenchSystem;
}

interface Case {
  readonly kind: string;
  readonly amount: number;
  readonly unit: string;
  readonly place: Place;
  /** The next mission to run. */
  readonly next: () => Promise<BenchMission>;
}

/** For each mission. */
interface Cost {
  readonly cpuMs: number;
  readonly kilobytes: number;
  readonly sqlMs: number;
}

/**
 * What a mission costs when there is more of everything: its stages by the product's own functions in this process, without Temporal,
 * in turns. CPU is this process's, with the client of the gateway; bytes are those that it read from PostgreSQL, SQL is the time
 * that PostgreSQL was at work for it.
 */
export async function benchGrowth({ isSmall }: PartOptions): Promise<Findings> {
  const sizes = isSmall ? SMALL : FULL;
  let calls = 0;
  const gateway = await startScriptedGateway({
    serviceKey: SERVICE_KEY,
    script: ({ body }) =>
      body.messages.some(({ role }) => role === 'tool')
        ? replyWithText('One task is planned.')
        : // Another one each time: what a mission has proposed before is not proposed again.
          replyWithToolCalls([
            { name: 'create_task', arguments: { title: `Pack the tent ${(calls += 1)}` } },
          ]),
  });
  const client = createGateway({ baseUrl: gateway.url, serviceKey: SERVICE_KEY });
  try {
    return await withPostgres(async (postgres) => {
      const places: Place[] = [];
      try {
        const cases = await casesOf(postgres, sizes, places);
        const costs = new Map(cases.map((each): [Case, Cost[]] => [each, []]));
        for (let turn = -1; turn < sizes.turns; turn += 1) {
          for (const each of cases) {
            const cost = await costOf(each, client, sizes.missions);
            if (turn >= 0) costs.get(each)?.push(cost);
          }
        }
        return findingsOf(costs, sizes);
      } finally {
        for (const { system } of places) await system.close();
      }
    });
  } finally {
    await gateway.close();
  }
}

async function casesOf(postgres: BenchPostgres, sizes: typeof FULL, places: Place[]): Promise<Case[]> {
  const place = async (fill: (superuserUrl: string) => Promise<void>): Promise<Place> => {
    const databases = await postgres.newDatabases();
    await fill(databases.superuser.syncUrl);
    const system = await openBenchSystem(databases, () => databases.superuser.syncUrl);
    const made = { databases, system };
    places.push(made);
    return made;
  };
  const fresh =
    ({ system }: Place, recordBytes = SMALL_INPUT) =>
    () =>
      writeBenchMission(system, { records: NOTES, recordBytes });
  const logs = [];
  for (const rows of sizes.logs) logs.push(await place((url) => fillLog(url, rows)));
  const [first] = logs;
  if (first === undefined) throw new Error('growth: no log');
  const cases: Case[] = [];
  for (const amount of sizes.histories) {
    const mission = await fresh(first)();
    await writeHistory(first.databases.superuser.syncUrl, mission, amount);
    const next = amount === 0 ? fresh(first) : () => Promise.resolve(mission);
    cases.push({ kind: 'earlier iterations', amount, unit: 'iterations', place: first, next });
  }
  for (const amount of INPUT_BYTES)
    cases.push({
      ...{ kind: `bytes of each of ${NOTES} inputs`, amount, unit: 'bytes', place: first },
      next: fresh(first, amount),
    });
  for (const [index, amount] of sizes.logs.entries()) {
    const log = logs[index] ?? first;
    cases.push({ kind: 'rows of the log', amount, unit: 'rows', place: log, next: fresh(log) });
  }
  for (const amount of sizes.users) {
    const of = await place((url) => fillUsers(url, amount, ROWS_OF_USERS));
    cases.push({ kind: 'users', amount, unit: 'users', place: of, next: fresh(of) });
  }
  return cases;
}

/** On connections of its own, which tell PostgreSQL's counters what they did when they end. */
async function costOf({ place, next }: Case, gateway: Gateway, count: number): Promise<Cost> {
  const { databases: urls, system } = place;
  const missions: BenchMission[] = [];
  for (let index = 0; index <= count; index += 1) missions.push(await next());
  const sockets = openSockets();
  const before = await sqlTimeMs(urls);
  const databases = openPools(urls.urls);
  const [warmUp, ...counted] = missions;
  if (warmUp === undefined) throw new Error('growth: no mission');
  const used = { ...system, databases };
  await runOf(used, gateway, warmUp);
  const startCpu = process.cpuUsage();
  const startBytes = sockets.bytesRead();
  for (const mission of counted) await runOf(used, gateway, mission);
  const { user, system: kernel } = process.cpuUsage(startCpu);
  const bytes = sockets.bytesRead() - startBytes;
  await Promise.all(Object.values(databases).map((database) => database.close()));
  sockets.stop();
  const sqlMs = (await sqlTimeMs(urls)) - before;
  return {
    cpuMs: (user + kernel) / 1_000 / count,
    kilobytes: bytes / 1_000 / count,
    sqlMs: sqlMs / missions.length,
  };
}

async function runOf(system: BenchSystem, gateway: Gateway, mission: BenchMission): Promise<void> {
  const deps = runnerDeps(system, gateway);
  const run = await beginRun(deps, system, mission);
  for (let round = 1; ; round += 1) {
    const { status } = await planOneRound(deps, { ...run, round }, NEVER);
    if (status === 'finished') break;
    if (status !== 'continue') throw new Error(`round ${round}: found ${status}, expected continue`);
  }
  const { outcome } = await writeIteration(deps, {
    ...{ ...run, startedAtMs: Date.now(), thenForget: true },
    result: { kind: 'planned' },
  });
  if (outcome !== 'planned') throw new Error(`write: found ${outcome}, expected planned`);
}

const WHAT = ['cpuMs', 'kilobytes', 'sqlMs'] as const;

function findingsOf(costs: ReadonlyMap<Case, readonly Cost[]>, sizes: typeof FULL): Findings {
  const all = [...costs];
  const median = (of: readonly Cost[], what: (typeof WHAT)[number]): number =>
    quantile(
      of.map((cost) => cost[what]),
      0.5,
    );
  const ofKind = Map.groupBy(all, ([{ kind }]) => kind);
  const growth = (kind: string, what: (typeof WHAT)[number]): number => {
    const cases = ofKind.get(kind) ?? [];
    return median(cases.at(-1)?.[1] ?? [], what) / median(cases[0]?.[1] ?? [], what);
  };
  const slope = (kind: string, per: number): string => {
    const cases = ofKind.get(kind) ?? [];
    const [first, last] = [cases[0], cases.at(-1)];
    if (first === undefined || last === undefined) return '';
    const each = WHAT.map(
      (what) => (median(last[1], what) - median(first[1], what)) / (last[0].amount - first[0].amount),
    );
    const [cpuMs = NaN, kilobytes = NaN, sqlMs = NaN] = each.map((value) => value * per);
    return `Each ${per.toLocaleString('en')} ${first[0].unit} more cost ${cpuMs.toFixed(2)} ms of CPU, ${kilobytes.toFixed(1)} kB and ${sqlMs.toFixed(2)} ms of SQL.`;
  };
  const flat = ['rows of the log', 'users'];
  const aims = flat.flatMap((kind) =>
    WHAT.map((what): Aim => ({
      what: `${{ cpuMs: 'CPU', kilobytes: 'bytes read', sqlMs: 'SQL' }[what]} with the most ${kind}, to the fewest`,
      ...{ found: growth(kind, what), atMost: 1.5 },
    })),
  );
  return {
    settings: {
      'missions a turn': sizes.missions,
      turns: sizes.turns,
      rounds: 2,
      notes: `${NOTES}, of 2 kB where not said`,
    },
    tables: [
      {
        title: 'What a mission costs',
        header: ['with', 'how many', 'CPU (ms)', 'read (kB)', 'SQL (ms)', 'to the first: CPU', 'read', 'SQL'],
        rows: all.map(([{ kind, amount }, of]) => [
          ...[kind, amount],
          ...WHAT.map((what) => of.map((cost) => cost[what])),
          ...WHAT.map((what) => median(of, what) / median(ofKind.get(kind)?.[0]?.[1] ?? [], what)),
        ]),
      },
    ],
    aims,
    notes: [slope('earlier iterations', 100), slope(`bytes of each of ${NOTES} inputs`, 10_000)],
  };
}

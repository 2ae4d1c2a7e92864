/**
 * `bin/yarn bench:fairness [--small] [--missions N]`: one user with thousands of due missions, another with a single one a
 * moment later; with the server's fairness switched on, as we ship it, and off. Prints Markdown for docs/performance.md.
 */
import { parseArgs } from 'node:util';
import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import { Runtime } from '@temporalio/worker';
import { benchRunner, ROUND_CONCURRENCY, ROUND_MS, type RoundRecord } from './fairness/runner.ts';
import { machine, plainTable } from './measure.ts';
import {
  eachOf,
  until,
  withPostgres,
  withTemporal,
  type BenchPostgres,
  type BenchTemporal,
} from './servers.ts';
import { createLogger } from '#logging/logger.ts';
import { createMissionSchedules } from '#schedules/mission-schedules.ts';
import { createTemporalLogger } from '#worker/temporal-logger.ts';
import { RUNNER_TASK_QUEUE } from '#temporal/messages.ts';

const { values } = parseArgs({
  options: { small: { type: 'boolean', default: false }, missions: { type: 'string' } },
});
const missions = Number(values.missions ?? (values.small ? 40 : 2_000));

const LONGEST_MS = 1_800_000;
const START_CONCURRENCY = 20;
const MANY = 'user-with-many';
/** The second comes when all missions of the first are started, the third when a quarter of their rounds is done. */
const SINGLES = ['user-just-after', 'user-later'] as const;

Runtime.install({
  logger: createTemporalLogger(createLogger('bench', 'error', process.stderr)),
  shutdownSignals: [],
});

await withPostgres(async (postgres) => {
  const before = machine();
  const rows: string[][] = [];
  for (const isFair of [true, false]) {
    await withTemporal({ 'matching.enableFairness': isFair }, async (temporal) => {
      for (const row of await measureFairness(postgres, temporal)) rows.push([isFair ? 'on' : 'off', ...row]);
    });
  }
  console.log(
    plainTable(
      `One mission beside ${missions.toLocaleString('en')} of another user; ${ROUND_CONCURRENCY} rounds at a time, ${ROUND_MS} ms each`,
      [
        ...['matching.enableFairness', 'the single mission was due', 'rounds of the other before its own'],
        ...['rounds of the other after it', 'delay to its round (s)', 'all rounds took (s)'],
      ],
      rows,
    ),
  );
  console.log(`Before: ${before}\nAfter: ${machine()}`);
});

async function measureFairness(postgres: BenchPostgres, temporal: BenchTemporal): Promise<string[][]> {
  const databases = await postgres.newDatabases();
  const writer = new Client({ connectionString: databases.superuser.syncUrl });
  await writer.connect();
  const runner = await benchRunner(databases, temporal);
  const schedules = createMissionSchedules({ client: temporal.client, taskQueue: RUNNER_TASK_QUEUE });
  const start = async (userId: string, count: number): Promise<void> => {
    const ids = await writeDueMissions(writer, userId, count);
    await eachOf(ids, START_CONCURRENCY, ({ missionId, instantMs }) =>
      schedules.startDue({ userId, missionId, agentId: null, instantMs }),
    );
  };
  try {
    const startedMs = performance.now();
    const dueAtMs: number[] = [];
    await start(MANY, missions);
    for (const single of SINGLES) {
      await start(single, 1);
      dueAtMs.push(performance.now());
      const quarter = (): boolean => runner.rounds.length >= missions / 4;
      await until('a quarter of the rounds', quarter, LONGEST_MS);
    }
    const all = (): boolean => runner.rounds.length >= missions + SINGLES.length;
    await until('all rounds', all, LONGEST_MS);
    const tookSeconds = (performance.now() - startedMs) / 1000;
    return SINGLES.map((single, index) => [
      index === 0 ? 'when all others were started' : 'when a quarter of the others was done',
      ...position(runner.rounds, single, dueAtMs[index] ?? NaN),
      tookSeconds.toFixed(0),
    ]);
  } finally {
    await runner.close();
    await writer.end();
  }
}

/** @returns rounds of the many between due and own round, rounds of the many after that, delay in seconds */
function position(rounds: readonly RoundRecord[], single: string, dueAtMs: number): string[] {
  const own = rounds.findIndex(({ userId }) => userId === single);
  const ownAtMs = rounds[own]?.atMs ?? NaN;
  const ofMany = rounds.filter(({ userId }) => userId === MANY);
  const between = ofMany.filter(({ atMs }) => atMs > dueAtMs && atMs < ownAtMs).length;
  const after = ofMany.filter(({ atMs }) => atMs >= ownAtMs).length;
  return [String(between), String(after), ((ownAtMs - dueAtMs) / 1000).toFixed(1)];
}

/** Missions without ciphertext and without a grant, due a moment ago; the objective names the user. */
async function writeDueMissions(
  writer: Client,
  userId: string,
  count: number,
): Promise<{ readonly missionId: string; readonly instantMs: number }[]> {
  const instantMs = Date.now() - 1_000;
  const ids = Array.from({ length: count }, () => randomUUID());
  const nowIso = new Date(instantMs).toISOString();
  const record = {
    ...{ createdAt: nowIso, title: 'Weekly plan', conceptMarkdown: '', objective: `Plan for ${userId}.` },
    ...{ state: 'active', cadence: { kind: 'interval', everyMinutes: 1440 }, nextRunAt: nowIso },
    ...{ inputs: [], iterations: [] },
  };
  await writer.query(
    `insert into public.sync_changes
       (app_id, table_name, record_id, user_id, op, data, client_id, actor, origin)
     select 'ai', 'aiMissions', id, $1, 'insert', $2::jsonb || jsonb_build_object('id', id), 'device-1',
       '{"kind": "user"}'::jsonb, 'user'
     from unnest($3::text[]) id`,
    [userId, JSON.stringify(record), ids],
  );
  await writer.query('analyze public.sync_changes');
  return ids.map((missionId) => ({ missionId, instantMs }));
}

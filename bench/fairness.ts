import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import { Runtime } from '@temporalio/worker';
import { benchRunner, ROUND_CONCURRENCY, ROUND_MS, type RoundRecord } from './fairness/runner.ts';
import type { Cell, Findings, PartOptions } from './results/result.ts';
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

const LONGEST_MS = 1_800_000;
const START_CONCURRENCY = 20;
const MANY = 'user-with-many';
/** The second comes when all missions of the first are started, the third when a quarter of their rounds is done. */
const SINGLES = ['user-just-after', 'user-later'] as const;

/**
 * One user with many due missions, another with a single one a moment later; with the server's fairness switched on, as we ship it,
 * and off.
 */
export async function benchFairness({ isSmall }: PartOptions): Promise<Findings> {
  const missions = isSmall ? 40 : 1_000;
  Runtime.install({
    logger: createTemporalLogger(createLogger('bench', 'error', process.stderr)),
    shutdownSignals: [],
  });
  return withPostgres(async (postgres) => {
    const rows: Cell[][] = [];
    for (const isFair of [true, false]) {
      await withTemporal({ 'matching.enableFairness': isFair }, async (temporal) => {
        for (const row of await measureFairness(postgres, temporal, missions))
          rows.push([isFair ? 'on' : 'off', ...row]);
      });
    }
    return {
      settings: { 'rounds at a time': ROUND_CONCURRENCY, 'a round takes (ms)': ROUND_MS },
      tables: [
        {
          title: `One mission beside ${missions.toLocaleString('en')} of another user`,
          header: [
            ...[
              'matching.enableFairness',
              'the single mission was due',
              'rounds of the other before its own',
            ],
            ...['rounds of the other after it', 'delay to its round (s)', 'all rounds took (s)'],
          ],
          rows,
        },
      ],
    };
  });
}

async function measureFairness(
  postgres: BenchPostgres,
  temporal: BenchTemporal,
  missions: number,
): Promise<Cell[][]> {
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
      tookSeconds,
    ]);
  } finally {
    await runner.close();
    await writer.end();
  }
}

/** @returns rounds of the many between due and own round, rounds of the many after that, delay in seconds */
function position(rounds: readonly RoundRecord[], single: string, dueAtMs: number): Cell[] {
  const own = rounds.findIndex(({ userId }) => userId === single);
  const ownAtMs = rounds[own]?.atMs ?? NaN;
  const ofMany = rounds.filter(({ userId }) => userId === MANY);
  const between = ofMany.filter(({ atMs }) => atMs > dueAtMs && atMs < ownAtMs).length;
  const after = ofMany.filter(({ atMs }) => atMs >= ownAtMs).length;
  return [between, after, (ownAtMs - dueAtMs) / 1000];
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

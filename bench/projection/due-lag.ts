import { randomUUID } from 'node:crypto';
import type { Client } from '@temporalio/client';
import { quantile } from '#bench/measure.ts';
import type { Cell, Findings } from '#bench/results/result.ts';
import { eachOf, until, withTemporal } from '#bench/servers.ts';
import type { Cadence } from '#domain/wire/mission.ts';
import { missionScheduleSpec } from '#domain/cadence/schedule-spec.ts';
import { createMissionSchedules } from '#schedules/mission-schedules.ts';
import { missionScheduleId } from '#schedules/schedule-ids.ts';

/** What a namespace may start by itself if nobody sets it, and what our servers are set to. */
const START_RATES = [30, 300] as const;
const START_RATE = 'worker.schedulerNamespaceStartWorkflowRPS';
const CONCURRENCY = 20;
const MINUTE_MS = 60_000;
/** The slowest server we have seen made some 60 schedules a second. */
const CREATES_PER_SECOND = 60;
const SPARE_MS = 10_000;
const LONGEST_MS = 6 * MINUTE_MS;

/**
 * So many missions due in the same second: from the instant to the run's start, with the jitter that daily missions have
 * and without any, as for intervals. No worker polls the queue, so that the servers do nothing but start; each has a rate of its own.
 */
export async function benchDueLag(missions: number): Promise<Findings> {
  const ofRates = await Promise.all(
    START_RATES.map((rate) =>
      withTemporal({ [START_RATE]: rate }, async ({ client }) =>
        (await dueAtOnce(client, missions)).map((row): Cell[] => [rate, ...row]),
      ),
    ),
  );
  const rows = ofRates.flat();
  const [unjittered, jittered] = rows;
  return {
    settings: { 'missions due at once': missions, 'servers at the same time': START_RATES.length },
    tables: [
      {
        title: `${missions.toLocaleString('en')} missions due in the same second, without a worker`,
        header: [
          ...['starts a second allowed', 'jitter', 'after the instant: p50 (s)', 'p99 (s)', 'most (s)'],
          ...['after instant plus jitter: p50 (s)', 'p99 (s)', 'runs'],
        ],
        rows,
      },
    ],
    notes: [
      `At the default rate ${missions.toLocaleString('en')} missions start within ${p99Of(unjittered)} s of their instant without jitter (p99), and within ${p99Of(jittered)} s with it.`,
    ],
  };
}

const p99Of = (row: readonly Cell[] | undefined): string => Number(row?.[3]).toFixed(0);

/** Those without jitter are due a minute before the others. */
async function dueAtOnce(client: Client, missions: number): Promise<Cell[][]> {
  const firstAtMs = dueTime(2 * missions);
  const kinds = [
    { jitter: false, dueAtMs: firstAtMs, taskQueue: `bench-without-worker-${randomUUID()}` },
    { jitter: true, dueAtMs: firstAtMs + MINUTE_MS, taskQueue: `bench-without-worker-${randomUUID()}` },
  ];
  const ids: string[][] = [];
  for (const { taskQueue, ...due } of kinds)
    ids.push(await createSchedules(client, taskQueue, { missions, ...due }));
  if (Date.now() > firstAtMs)
    throw new Error('the machine is too slow: the schedules were due before they were made');
  const firesAtMs = await readFireTimes(client, new Set(ids.flat()));
  const rows: Cell[][] = [];
  for (const { jitter, dueAtMs, taskQueue } of kinds) {
    const query = `TaskQueue = '${taskQueue}'`;
    const allStarted = async (): Promise<boolean> => (await client.workflow.count(query)).count >= missions;
    await until('all runs have started', allStarted, dueAtMs - Date.now() + LONGEST_MS);
    rows.push(await lagsOf(client, { query, jitter, dueAtMs, firesAtMs }));
  }
  return rows;
}

async function lagsOf(
  client: Client,
  of: {
    readonly query: string;
    readonly jitter: boolean;
    readonly dueAtMs: number;
    readonly firesAtMs: ReadonlyMap<string, number>;
  },
): Promise<Cell[]> {
  const afterInstant: number[] = [];
  const afterJitter: number[] = [];
  for await (const { startTime, workflowId } of client.workflow.list({ query: of.query })) {
    afterInstant.push((startTime.getTime() - of.dueAtMs) / 1000);
    // The run's id is the schedule's with the nominal time behind it.
    const fireAtMs = of.firesAtMs.get(workflowId.replace(/-\d{4}-\d\d-\d\dT[\d:]+Z$/, ''));
    if (fireAtMs !== undefined) afterJitter.push((startTime.getTime() - fireAtMs) / 1000);
  }
  const cell = (values: readonly number[], share: number): Cell =>
    values.length === 0 ? 'not shown' : quantile(values, share);
  return [
    ...[of.jitter ? 'up to 120 s' : 'none', cell(afterInstant, 0.5), cell(afterInstant, 0.99)],
    ...[cell(afterInstant, 1), cell(afterJitter, 0.5), cell(afterJitter, 0.99), afterInstant.length],
  ];
}

/** A full minute, for cadences have no seconds; far enough for all schedules to be made before. */
const dueTime = (missions: number): number =>
  Math.ceil((Date.now() + (missions / CREATES_PER_SECOND) * 1000 + SPARE_MS) / MINUTE_MS) * MINUTE_MS;

/** @returns their ids */
async function createSchedules(
  client: Client,
  taskQueue: string,
  due: { readonly missions: number; readonly dueAtMs: number; readonly jitter: boolean },
): Promise<string[]> {
  const { dueAtMs } = due;
  const instant = new Date(dueAtMs);
  const cadence: Cadence = due.jitter
    ? { kind: 'daily', atHour: instant.getUTCHours(), atMinute: instant.getUTCMinutes() }
    : { kind: 'interval', everyMinutes: 1440 };
  const spec = missionScheduleSpec({ cadence, nextRunAtMs: dueAtMs, timeZone: 'UTC' });
  if (spec === null || spec.jitterMs > 0 !== due.jitter)
    throw new Error('the missions have the wrong jitter');
  const schedules = createMissionSchedules({ client, taskQueue });
  const missions = Array.from({ length: due.missions }, () => ({
    userId: randomUUID(),
    missionId: randomUUID(),
  }));
  await eachOf(missions, CONCURRENCY, (mission) => schedules.ensure({ ...mission, agentId: null, spec }));
  return missions.map(({ userId, missionId }) => missionScheduleId(userId, missionId));
}

/** When the server says it will fire, jitter included; visibility is a moment late. */
async function readFireTimes(client: Client, ids: ReadonlySet<string>): Promise<Map<string, number>> {
  const times = new Map<string, number>();
  for await (const { scheduleId, info } of client.schedule.list({ pageSize: 1_000 })) {
    const [next] = info.nextActionTimes;
    if (ids.has(scheduleId) && next !== undefined) times.set(scheduleId, next.getTime());
  }
  return times;
}

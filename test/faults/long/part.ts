import { setTimeout as delay } from 'node:timers/promises';
import { bringFaults, type PartName } from './faults.ts';
import { persistently, writeLoad } from './load.ts';
import { randomOf } from './random.ts';
import { NAMESPACE, startWorld, type World } from './world.ts';
import { withClient } from '#dev/platform-schema.ts';
import { RUNNER_TASK_QUEUE, SWEEP_RUNS_WORKFLOW_TYPE } from '#temporal/messages.ts';
import { check, type Report } from '#test/checker/check.ts';
import { readFacts } from '#test/checker/read-facts.ts';

export interface PartOptions {
  readonly part: PartName;
  readonly seed: number;
  readonly missions: number;
  readonly kills: number;
  /** How long faults come; what it takes to come to rest is added. */
  readonly forMs: number;
  /** Where logs and rows of the part are kept, each fault and each complaint with them. */
  readonly tracesIn: string | null;
}

export interface PartResult {
  readonly part: PartName;
  readonly seed: number;
  readonly missions: number;
  readonly kills: Readonly<Record<string, number>>;
  readonly faults: Readonly<Record<string, number>>;
  readonly gatewayFaults: Readonly<Record<string, number>>;
  readonly habits: Readonly<Record<string, number>>;
  /** Gateway calls that were open when something was ended or disturbed. */
  readonly inFlight: number;
  /** Ends of processes that nobody had asked for. */
  readonly deaths: number;
  readonly failedStarts: number;
  readonly secondsOfFaults: number;
  readonly secondsToRest: number;
  readonly counts: Report['counts'];
  readonly violations: readonly string[];
}

/** Longer than any retry delay that can be under way when the faults end: of a round whose worker died, the server's five minutes. */
const REST_WITHIN_MS = 400_000;
/** With the network disturbed, a request may be on its way that long since the grant was looked at. */
const GRACE_MS: Readonly<Record<PartName, number>> = {
  ...{ processes: 1_000, frozen: 1_000, postgres: 1_000, temporal: 1_000, operator: 1_000, network: 5_000 },
};

/** One part of the suite: a service of its own, a load, faults, rest, and what the checker says. */
export async function runPart(options: PartOptions, say: (line: string) => void): Promise<PartResult> {
  const { part, seed, missions, kills, forMs, tracesIn } = options;
  const random = randomOf(seed);
  const world = await startWorld(randomOf(seed + 1));
  try {
    const startedAt = Date.now();
    say(`${part}, seed ${seed}: ${missions} missions and up to ${kills} kills in ${forMs / 1_000} s`);
    const [habits, brought] = await Promise.all([
      writeLoad(world, randomOf(seed + 2), { missions, forMs: 0.9 * forMs }),
      bringFaults(world, random, part, { kills, forMs }, say),
    ]);
    world.calmGateway();
    const endedAt = Date.now();
    say('the faults are over');
    const report = await untilAtRest(world, missions, {
      faultsAtMs: brought.faultsAtMs,
      graceMs: GRACE_MS[part],
    });
    if (tracesIn !== null) await world.keepTraces(tracesIn);
    const sum = (of: (program: World['programs'][number]) => number): number =>
      world.programs.reduce((total, program) => total + of(program), 0);
    return {
      ...{ part, seed, missions, habits, kills: brought.kills, faults: brought.faults },
      ...{ gatewayFaults: world.gatewayFaults, inFlight: brought.inFlight },
      deaths: sum((program) => program.deaths()),
      failedStarts: sum((program) => program.failedStarts()),
      secondsOfFaults: Math.round((endedAt - startedAt) / 1_000),
      secondsToRest: Math.round((Date.now() - endedAt) / 1_000),
      ...report,
    };
  } finally {
    await world.close();
  }
}

export async function untilAtRest(
  world: World,
  missions: number,
  allowed: Parameters<typeof check>[1],
): Promise<Report> {
  const look = async (): Promise<Report> =>
    check(
      await readFacts({
        ...world.databases.superuser,
        temporal: { address: world.address, namespace: NAMESPACE },
        asked: world.gateway.asked,
        files: world.files(),
      }),
      allowed,
    );
  const deadlineAt = Date.now() + REST_WITHIN_MS;
  for (;;) {
    await hurry(world);
    await delay(2_000);
    const report = await persistently(look, 10);
    const isWhole = report.violations.length === 0 && (report.counts['missions'] ?? 0) >= missions;
    if (isWhole || Date.now() > deadlineAt) return report;
  }
}

/**
 * What the passing of ten minutes does by itself: terminated runs are swept, and missions are started whose instant has passed
 * without a run. Runs that are open are left alone by both.
 */
async function hurry(world: World): Promise<void> {
  await withClient(world.databases.superuser.syncUrl, (client) =>
    client.query(`update mana_ai.run_slots set claimed_at = claimed_at - interval '11 minutes'
      where claimed_at > clock_timestamp() - interval '10 minutes'`),
  );
  const url = world.programs.find((program) => program.role === 'api' && program.url() !== null)?.url() ?? '';
  const headers = { 'x-service-key': world.serviceKey, 'x-api-key': world.serviceKey };
  await fetch(`${url}/internal/tick`, { method: 'POST', headers, signal: AbortSignal.timeout(40_000) }).catch(
    () => undefined,
  );
  await world.client.workflow
    .start(SWEEP_RUNS_WORKFLOW_TYPE, {
      ...{ workflowId: 'sweep-now', taskQueue: RUNNER_TASK_QUEUE, args: [] },
      workflowIdConflictPolicy: 'USE_EXISTING',
    })
    .catch(() => undefined);
}

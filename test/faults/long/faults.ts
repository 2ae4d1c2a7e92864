import { setTimeout as delay } from 'node:timers/promises';
import type { Moment } from './program.ts';
import type { Random } from './random.ts';
import type { World } from './world.ts';
import { withClient } from '#dev/platform-schema.ts';

/** What a part of the suite does to the service, again and again. */
export const PARTS = {
  processes: ['kill', 'kill', 'kill', 'restart'],
  postgres: ['kill', 'stop PostgreSQL', 'kill PostgreSQL', 'end backends'],
  temporal: ['kill', 'stop Temporal', 'kill Temporal'],
  operator: ['kill', 'terminate', 'cancel', 'reset'],
  network: ['kill', 'network', 'network', 'end backends'],
  // A process that stands still, is taken for dead, and goes on. Behind the others, whose seeds go by their places.
  frozen: ['freeze', 'freeze', 'kill', 'restart'],
} as const satisfies Readonly<Record<string, readonly [FaultName, ...FaultName[]]>>;
export type PartName = keyof typeof PARTS;

/** Longer than a heartbeat, which is ten seconds here: others take the work over meanwhile. */
const LONGEST_FREEZE_MS = 25_000;

interface PartSize {
  readonly missions: number;
  /** At most; a part ends with its time, too. */
  readonly kills: number;
  /** How long faults come. */
  readonly minutes: number;
}

/** The size of a part where the command names none: 2,300 missions, more than 300 kills and 36 minutes for all. */
export const PART_SIZES: Readonly<Record<PartName, PartSize>> = {
  processes: { missions: 400, kills: 150, minutes: 7 },
  // PostgreSQL goes away every five to ten seconds.
  postgres: { missions: 400, kills: 50, minutes: 10 },
  temporal: { missions: 400, kills: 50, minutes: 5 },
  operator: { missions: 400, kills: 50, minutes: 5 },
  network: { missions: 400, kills: 50, minutes: 5 },
  // One that stands still counts as killed.
  frozen: { missions: 300, kills: 60, minutes: 4 },
};

type FaultName =
  | 'kill'
  | 'restart'
  | 'freeze'
  | 'stop PostgreSQL'
  | 'kill PostgreSQL'
  | 'end backends'
  | 'stop Temporal'
  | 'kill Temporal'
  | 'terminate'
  | 'cancel'
  | 'reset'
  | 'network';

export interface FaultCounts {
  readonly faults: Record<string, number>;
  readonly kills: Record<Moment, number>;
  /** Gateway calls that were open when something was ended or disturbed. */
  inFlight: number;
  readonly faultsAtMs: number[];
}

/** Does what the part does until so many processes were killed, or the time is over. */
export async function bringFaults(
  world: World,
  random: Random,
  part: PartName,
  { kills, forMs }: { readonly kills: number; readonly forMs: number },
  say: (line: string) => void,
): Promise<FaultCounts> {
  const counts: FaultCounts = {
    faults: {},
    kills: { 'open transaction': 0, 'open gateway call': 0, neither: 0 },
    inFlight: 0,
    faultsAtMs: [],
  };
  const endAt = Date.now() + forMs;
  const total = (): number => Object.values(counts.kills).reduce((sum, count) => sum + count, 0);
  const note = (name: string): void => void (counts.faults[name] = (counts.faults[name] ?? 0) + 1);
  await delay(3_000);
  while (total() < kills && Date.now() < endAt) {
    const name = random.pick(PARTS[part]);
    counts.inFlight += world.gateway.openCalls();
    const startedAtMs = Date.now();
    counts.faultsAtMs.push(startedAtMs);
    const brought = await bring(world, random, name, counts);
    note(brought);
    say(`${new Date(startedAtMs).toISOString()} to ${new Date().toISOString()}: ${brought}`);
    // What takes a while, such as a restart, may cost a reply at its end.
    counts.faultsAtMs.push(Date.now());
    await delay(random.between(200, Math.max(300, (1.4 * forMs) / kills / PARTS[part].length)));
  }
  return counts;
}

async function bring(world: World, random: Random, name: FaultName, counts: FaultCounts): Promise<string> {
  const { programs } = world;
  const program = programs[random.between(0, programs.length - 1)];
  switch (name) {
    case 'kill': {
      const wanted = random.pick([null, 'open transaction', 'open gateway call'] as const);
      // Only a runner asks the gateway.
      const chosen =
        wanted === 'open gateway call'
          ? programs.filter(({ role }) => role === 'runner')[random.between(0, 1)]
          : program;
      const moment = (await chosen?.kill9(wanted)) ?? null;
      if (moment === null) return 'kill of nobody';
      counts.kills[moment] += 1;
      return `kill ${chosen?.role ?? ''}`;
    }
    case 'freeze': {
      const forMs = random.between(3_000, LONGEST_FREEZE_MS);
      const onThaw = (): void => void counts.faultsAtMs.push(Date.now());
      const wanted = random.pick([null, 'open transaction', 'open gateway call'] as const);
      const chosen =
        wanted === 'open gateway call'
          ? programs.filter(({ role }) => role === 'runner')[random.between(0, 1)]
          : program;
      const moment = (await chosen?.freeze(wanted, forMs, onThaw)) ?? null;
      if (moment === null) return 'freeze of nobody';
      counts.kills[moment] += 1;
      return `freeze ${chosen?.role ?? ''}`;
    }
    case 'restart':
      void program?.restart();
      return `restart ${program?.role ?? ''}`;
    case 'network':
      return program?.disturb(random) ?? name;
    case 'stop PostgreSQL':
      await world.postgres.restart('stop', random.between(0, 2_000));
      return name;
    case 'kill PostgreSQL':
      await world.postgres.restart('kill', random.between(0, 2_000));
      return name;
    case 'end backends':
      await endBackends(world, random.between(1, 6));
      return name;
    case 'stop Temporal':
      await world.restartTemporal('stop', random.between(0, 5_000));
      return name;
    case 'kill Temporal':
      await world.restartTemporal('kill', random.between(0, 5_000));
      return name;
    case 'terminate':
    case 'cancel':
    case 'reset':
      return (await handleRun(world, random, name)) ? name : `${name} of nothing`;
  }
}

const endBackends = (world: World, count: number): Promise<unknown> =>
  withClient(world.databases.superuser.syncUrl, (client) =>
    client.query(
      `select pg_terminate_backend(pid) from (select pid from pg_stat_activity
        where application_name like 'mana-missions-%' order by random() limit $1) as chosen`,
      [count],
    ),
  ).catch(() => undefined);

/** As an operator would, from the UI or the command line. */
async function handleRun(
  world: World,
  random: Random,
  how: 'terminate' | 'cancel' | 'reset',
): Promise<boolean> {
  const { client } = world;
  const running: { workflowId: string; runId: string }[] = [];
  const query = `WorkflowType = 'missionRun' and ExecutionStatus = 'Running'`;
  for await (const { workflowId, runId } of client.workflow.list({ query }))
    running.push({ workflowId, runId });
  const chosen = running[random.between(0, running.length - 1)];
  if (chosen === undefined) return false;
  const handle = client.workflow.getHandle(chosen.workflowId, chosen.runId);
  try {
    if (how === 'terminate') await handle.terminate('fault suite');
    else if (how === 'cancel') await handle.cancel();
    else await resetRun(world, chosen);
    return true;
  } catch {
    // It has ended meanwhile, or has done nothing yet that it could go back to.
    return false;
  }
}

async function resetRun({ client }: World, chosen: { workflowId: string; runId: string }): Promise<void> {
  const { events } = await client.workflow.getHandle(chosen.workflowId, chosen.runId).fetchHistory();
  const first = events?.find((event) => (event.workflowTaskCompletedEventAttributes ?? null) !== null);
  if (first === undefined) throw new Error('no workflow task has ended');
  await client.workflowService.resetWorkflowExecution({
    ...{ namespace: client.options.namespace, workflowExecution: chosen, reason: 'fault suite' },
    workflowTaskFinishEventId: first.eventId ?? null,
    requestId: `${chosen.runId}-reset`,
  });
}

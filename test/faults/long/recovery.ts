import { setTimeout as delay } from 'node:timers/promises';
import { writeLoad } from './load.ts';
import { untilAtRest } from './part.ts';
import { randomOf } from './random.ts';
import { startWorld, type World } from './world.ts';
import { withClient } from '#dev/platform-schema.ts';

export interface RecoveryOptions {
  readonly seed: number;
  /** Of each of the three times. */
  readonly missions: number;
  readonly forMs: number;
  readonly kills: number;
  readonly temporalDownMs: number;
}

/** From a mission's instant to its iteration, by the database's clock, in milliseconds. */
export interface Completion {
  readonly missions: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly longestMs: number;
}

export interface RecoveryResult {
  readonly clean: Completion;
  readonly underKills: Completion & { readonly kills: Readonly<Record<string, number>> };
  /** Of missions that were due before Temporal was back, the last iteration, counted from its return. */
  readonly afterTemporal: Completion & { readonly lastAfterReturnMs: number };
  readonly violations: readonly string[];
}

const ALL_DONE_WITHIN_MS = 300_000;

/** How long missions take when nothing happens, while workers are killed, and over a Temporal that is away. */
export async function measureRecovery(
  options: RecoveryOptions,
  say: (line: string) => void,
): Promise<RecoveryResult> {
  const { seed, missions, forMs, kills, temporalDownMs } = options;
  const random = randomOf(seed);
  const world = await startWorld(randomOf(seed + 1));
  const faultsAtMs: number[] = [];
  const during = async (name: string, faults: () => Promise<unknown>): Promise<readonly Ended[]> => {
    say(name);
    const fromMs = Date.now();
    await Promise.all([writeLoad(world, random, { missions, forMs, habits: ['nothing'] }), faults()]);
    return untilEnded(world, fromMs);
  };
  try {
    world.calmGateway();
    // What is done for the first time takes longer.
    await during('warming up', () => Promise.resolve());
    const clean = await during('nothing happens', () => Promise.resolve());
    const killed: Record<string, number> = {};
    const underKills = await during('workers are killed', async () => {
      const workers = world.programs.filter(({ role }) => role !== 'api');
      for (let count = 0; count < kills; count += 1) {
        await delay(forMs / (kills + 1));
        const worker = random.pick(workers as [(typeof workers)[number]]);
        faultsAtMs.push(Date.now());
        const moment = await worker.kill9(random.pick([null, 'open transaction', 'open gateway call']));
        faultsAtMs.push(Date.now());
        const what = moment === null ? 'of nobody' : `${worker.role}, ${moment}`;
        killed[what] = (killed[what] ?? 0) + 1;
      }
    });
    let returnedAtMs = 0;
    const afterTemporal = await during('Temporal is killed', async () => {
      await delay(forMs / 4);
      faultsAtMs.push(Date.now());
      await world.restartTemporal('kill', temporalDownMs);
      returnedAtMs = Date.now();
      faultsAtMs.push(returnedAtMs);
    });
    const waited = afterTemporal.filter(({ dueAtMs }) => dueAtMs <= returnedAtMs);
    if (waited.length === 0)
      throw new Error("no mission was due before Temporal's return: nothing was measured");
    const { violations } = await untilAtRest(world, 4 * missions, { faultsAtMs, graceMs: 1_000 });
    return {
      clean: completionOf(clean),
      underKills: { ...completionOf(underKills), kills: killed },
      afterTemporal: {
        ...completionOf(afterTemporal),
        lastAfterReturnMs: Math.max(...waited.map(({ endedAtMs }) => endedAtMs)) - returnedAtMs,
      },
      violations,
    };
  } finally {
    await world.close();
  }
}

interface Ended {
  readonly dueAtMs: number;
  readonly endedAtMs: number;
}

/** Waits for the iterations of all missions that were written since then. */
async function untilEnded(world: World, fromMs: number): Promise<readonly Ended[]> {
  const deadlineAt = Date.now() + ALL_DONE_WITHIN_MS;
  for (;;) {
    const found = await readEnds(world, fromMs);
    const ended = found.filter((each): each is Ended => each.endedAtMs !== null);
    if (ended.length === found.length) return ended;
    if (Date.now() > deadlineAt) throw new Error(`${found.length - ended.length} missions have not ended`);
    await delay(1_000);
  }
}

const readEnds = (
  world: World,
  fromMs: number,
): Promise<readonly { readonly dueAtMs: number; readonly endedAtMs: number | null }[]> =>
  withClient(world.databases.superuser.syncUrl, async (client) => {
    const { rows } = await client.query<{ dueAtMs: number; endedAtMs: number | null }>(
      `select (extract(epoch from (written.data ->> 'nextRunAt')::timestamptz) * 1000)::float8 as "dueAtMs",
        (select (extract(epoch from min(created_at)) * 1000)::float8 from public.sync_changes as ended
          where ended.record_id = written.record_id and client_id = 'mana-ai-runner'
            and ended.data #>> '{iterations,0,overallStatus}' <> 'running') as "endedAtMs"
       from public.sync_changes as written
       where table_name = 'aiMissions' and op = 'insert' and created_at >= to_timestamp($1::float8 / 1000)`,
      [fromMs],
    );
    return rows;
  });

function completionOf(ended: readonly Ended[]): Completion {
  const sorted = ended.map(({ dueAtMs, endedAtMs }) => Math.round(endedAtMs - dueAtMs)).sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.ceil(share * sorted.length) - 1] ?? NaN;
  return { missions: sorted.length, p50Ms: at(0.5), p99Ms: at(0.99), longestMs: at(1) };
}

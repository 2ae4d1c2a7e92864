import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, inject } from 'vitest';
import { writeGrantedMission, type WrittenMission } from './granted-mission.ts';
import { query } from './inspect.ts';
import { startMissionSystem, type MissionSystem } from './mission-system.ts';
import { replyOfTwoRounds } from './planner-scripts.ts';
import { countLeftovers, NOTHING_LEFT, readAudit, readWrittenIterations } from './stored-rows.ts';
import { waitUntil } from './wait-until.ts';
import { startSystemProcess, type SystemProcess } from './worker-process.ts';
import { surroundingsOf } from '#test/faults/surroundings.ts';
import { withClient } from '#dev/platform-schema.ts';
import { formatInstant } from '#domain/base/instant.ts';

/** What a backend was in when it was ended. */
const SITUATIONS = ['active', 'idle', 'idle in transaction', 'commit'] as const;
export type Situation = (typeof SITUATIONS)[number];

export interface EndedBackends {
  readonly ended: Readonly<Record<Situation, number>>;
  /** Status of each answer of the API while backends were ended. */
  readonly statuses: Readonly<Record<number, number>>;
  readonly missions: number;
}

/** Of the system's processes, as their connections are named; the test's own stay, and those of other systems on the server. */
const OURS = `datname = any($2) and application_name like 'mana-missions-%' and backend_type = 'client backend'`;
const LONGEST_MS = 240_000;

/**
 * The system in its four processes runs due missions and mints grants while backends of all of them are ended at random,
 * until `count` are gone. Then everything must have happened exactly once, in the same four processes.
 */
export async function endBackendsUnderLoad(count: number): Promise<EndedBackends> {
  const system = await startMissionSystem({ parts: [], script: replyOfTwoRounds });
  const processes: SystemProcess[] = [];
  try {
    await slowDownCommits(system);
    const around = await surroundingsOf(system);
    for (const name of ['api', 'vault', 'runner', 'projection'] as const) {
      processes.push(await startSystemProcess(name, around));
    }
    const result = await underLoad(system, processes[0]?.url() ?? '', count);
    for (const each of processes) expect(each.isRunning(), `${each.name}: ${each.output()}`).toBe(true);
    return result;
  } finally {
    await Promise.all(processes.map((running) => running.stop()));
    await system.close();
  }
}

/** A commit takes 20 ms where a run's slot or tokens are written, or none would ever be hit. */
const slowDownCommits = (system: MissionSystem): Promise<unknown> =>
  query(
    system.databases.superuser.syncUrl,
    `create function public.slow_commit() returns trigger language plpgsql as
       $$ begin perform pg_sleep(0.02); return null; end $$;
     create constraint trigger slow after insert or update on mana_ai.run_slots
       deferrable initially deferred for each row execute function public.slow_commit();
     create constraint trigger slow after insert on mana_ai.token_usage
       deferrable initially deferred for each row execute function public.slow_commit()`,
  );

async function underLoad(system: MissionSystem, apiUrl: string, count: number): Promise<EndedBackends> {
  const storm = new AbortController();
  const missions: WrittenMission[] = [];
  const minting = mintUntil(storm.signal, system, apiUrl);
  const writing = (async () => {
    while (!storm.signal.aborted) {
      const due = { nextRunAt: formatInstant(Date.now() + 500) };
      missions.push(await writeGrantedMission(system, `OBJECTIVE-${missions.length}-`, due));
      await delay(150);
    }
  })();
  try {
    const ended = await endBackends(count, missions, system.databases.superuser);
    storm.abort();
    const [minted] = await Promise.all([minting, writing]);
    await expectOnce(system, missions);
    await expectMinted(system, minted.grants);
    return { ended, statuses: minted.statuses, missions: missions.length };
  } finally {
    storm.abort();
    await Promise.allSettled([minting, writing]);
  }
}

async function endBackends(
  count: number,
  missions: readonly WrittenMission[],
  { syncUrl, authUrl }: MissionSystem['databases']['superuser'],
): Promise<Record<Situation, number>> {
  const databases = [syncUrl, authUrl].map((url) => new URL(url).pathname.slice(1));
  const ended = { active: 0, idle: 0, 'idle in transaction': 0, commit: 0 };
  const deadlineAt = Date.now() + LONGEST_MS;
  await waitUntil('missions are written', () => missions.length > 2);
  await withClient(inject('postgresUrl'), async (client) => {
    for (let total = 0; total < count;) {
      if (Date.now() > deadlineAt) throw new Error(`only ${total} backends were ended`);
      // In turns, so that those that are hard to hit are not the last ones.
      const wanted = SITUATIONS[total % SITUATIONS.length] ?? 'active';
      const { rows } = await client.query<{ ended: boolean }>(
        `select pg_terminate_backend(pid) as ended from pg_stat_activity
         where ${OURS} and case when state = 'active' and query = 'commit' then 'commit' else state end = $1
         order by random() limit 1`,
        [wanted, databases],
      );
      // Looking as fast as one can finds even a commit.
      if (rows[0]?.ended !== true) continue;
      ended[wanted] += 1;
      total += 1;
      await delay(Math.random() * 60);
    }
  });
  return ended;
}

interface Minted {
  /** `wrappedKey` of each grant that the API said it minted. */
  readonly grants: readonly string[];
  readonly statuses: Record<number, number>;
}

async function mintUntil(signal: AbortSignal, system: MissionSystem, apiUrl: string): Promise<Minted> {
  const [grants, statuses]: [string[], Record<number, number>] = [[], {}];
  const mint = async (): Promise<number> => {
    // A user each time: nobody may mint as often as this.
    const user = await system.webApp.createUser();
    const token = await system.issuer.issueToken({ sub: user.userId });
    const response = await fetch(`${apiUrl}/api/v1/me/ai-mission-grant`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ missionId: randomUUID(), tables: ['notes'], recordIds: ['notes:1'] }),
      signal: AbortSignal.timeout(60_000),
    });
    const body = (await response.json()) as { wrappedKey?: string };
    if (response.status === 200 && body.wrappedKey !== undefined) grants.push(body.wrappedKey);
    statuses[response.status] = (statuses[response.status] ?? 0) + 1;
    return response.status;
  };
  while (!signal.aborted) {
    await mint();
    await delay(300);
  }
  await waitUntil('the API mints again', async () => (await mint()) === 200);
  return { grants, statuses };
}

/** One iteration of each mission, one audit row of each record that was opened, and nothing left over. */
async function expectOnce(system: MissionSystem, missions: readonly WrittenMission[]): Promise<void> {
  const { databases } = system;
  for (const { missionId } of missions) {
    const iterationIds = async (): Promise<Set<unknown>> =>
      new Set((await readWrittenIterations(databases, missionId)).flat().map(idOf));
    await waitUntil(`${missionId} has run`, async () => (await iterationIds()).size > 0, {
      deadlineMs: 120_000,
    });
    await waitUntil(`the run of ${missionId} has forgotten all`, async () =>
      Object.values(await countLeftovers(databases, missionId)).every((rows) => rows === 0),
    );
    expect((await iterationIds()).size).toBe(1);
    expect(await countLeftovers(databases, missionId)).toEqual(NOTHING_LEFT);
    expect(await readAudit(databases, missionId)).toEqual(['aiMissions ok', 'notes ok']);
  }
  const [reserved] = await query(
    databases.superuser.syncUrl,
    'select count(*)::int as count from mana_ai.budget_reservations',
  );
  expect(reserved).toEqual({ count: 0 });
}

const idOf = (iteration: unknown): unknown => (iteration as { readonly id?: unknown }).id;

async function expectMinted(system: MissionSystem, wrappedKeys: readonly string[]): Promise<void> {
  const hashes = wrappedKeys.map((key) => createHash('sha256').update(key).digest());
  const [logged] = await query(
    system.databases.superuser.syncUrl,
    'select count(*)::int as count from mana_ai.mission_grants where wrapped_key_sha256 = any($1)',
    [hashes],
  );
  expect(logged).toEqual({ count: wrappedKeys.length });
}

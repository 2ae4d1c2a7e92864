import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import fc, { type Arbitrary } from 'fast-check';
import { hostileMission, type HostileMission } from './hostile-missions.ts';
import { hostileReply, type HostileReply } from './hostile-replies.ts';
import { markOf, type HostileSystem } from './hostile-system.ts';
import { DASH_NOTE } from './hostile-texts.ts';
import { IS_LONG_FORM } from './seed.ts';
import { missionAt, noteAt, requestGrant, type WebAppUser } from '#dev/web-app.ts';
import { formatInstant } from '#domain/base/instant.ts';
import { INJECTION_CORPUS, UNMARKED_ATTACKS } from '#test/support/injection-corpus.ts';
import { openDevice } from '#test/support/device.ts';
import { query } from '#test/support/inspect.ts';
import { seeingStalls } from '#test/support/machine-stalls.ts';
import { waitUntil } from '#test/support/wait-until.ts';

/** Everything random about an attack. */
export interface World {
  readonly missions: readonly (HostileMission & { readonly replies: readonly HostileReply[] })[];
  readonly repliesToOthers: readonly HostileReply[];
  /** A note whose words the pattern list knows. */
  readonly injected: string;
  /** Milliseconds until the next backend is ended, and which one: a share of those that are open. */
  readonly endings: readonly (readonly [afterMs: number, which: number])[];
}

const MISSIONS = IS_LONG_FORM ? { minLength: 12, maxLength: 20 } : { minLength: 8, maxLength: 10 };
const ENDINGS = IS_LONG_FORM ? { minLength: 30, maxLength: 60 } : { minLength: 15, maxLength: 25 };
const replies = fc.array(hostileReply, { maxLength: 3 });
const share = fc.double({ min: 0, max: 0.999, noNaN: true });

export const world: Arbitrary<World> = fc.record({
  missions: fc.array(
    fc.tuple(hostileMission, replies).map(([mission, given]) => ({ ...mission, replies: given })),
    MISSIONS,
  ),
  repliesToOthers: replies,
  injected: fc.constantFrom(
    ...INJECTION_CORPUS.filter(({ id }) => !UNMARKED_ATTACKS.includes(id)).map(({ text }) => text),
  ),
  endings: fc.array(fc.tuple(fc.integer({ min: 20, max: 500 }), share), ENDINGS),
});

/** A mission that somebody wrote for an attack. */
export interface Target {
  readonly name: string;
  readonly user: WebAppUser;
  readonly missionId: string;
  /** How often it is due or asked for; null where nobody can say. */
  readonly dueCount: number | null;
  readonly isInjected: boolean;
  /** What stands in encrypted records only. */
  readonly secrets: readonly string[];
  readonly noteId: string | null;
}

export interface Attacked {
  readonly targets: readonly Target[];
  readonly victims: readonly { readonly name: string; readonly lateMs: number | null }[];
  /** Ends of backends that took place. */
  readonly endings: number;
}

const VICTIM_DUE_IN_MS = 2_000;
/** Longer than is allowed, so that a failure says by how much. */
const VICTIM_DEADLINE_MS = 60_000;
const every30Minutes = { kind: 'interval', everyMinutes: 30 };

/** Lets a world loose on the service, and returns when its victim has run. */
export async function attack(hostile: HostileSystem, { missions, ...of }: World): Promise<Attacked> {
  const users = await Promise.all([1, 2].map(() => hostile.system.webApp.createUser()));
  const attacker = (index: number): WebAppUser => {
    const user = users[index % users.length];
    if (user === undefined) throw new Error('there are no attackers');
    return user;
  };
  hostile.misbehave(null, of.repliesToOthers);
  const ended = endBackends(hostile, of.endings);
  const targets = await Promise.all([
    ...missions.map((mission, index) => writeHostile(hostile, attacker(index), mission)),
    writeWithNote(hostile, { ...{ name: 'dashes', user: attacker(0), note: DASH_NOTE, dueCount: 1 } }),
    writeWithNote(hostile, {
      ...{ name: 'injected', user: attacker(1), note: of.injected, isInjected: true },
    }),
    runTwice(hostile),
  ]);
  const victim = await writeVictim(hostile);
  return { targets: [...targets, victim.target], victims: [victim], endings: await ended };
}

/** The note that once stopped every runner, beside a victim. */
export async function attackWithDashes(
  hostile: HostileSystem,
): Promise<Attacked & { readonly dashes: Target }> {
  const user = await hostile.system.webApp.createUser();
  const dashes = await writeWithNote(hostile, { name: 'dashes', user, note: DASH_NOTE, dueCount: 1 });
  const victim = await writeVictim(hostile);
  return { dashes, targets: [dashes, victim.target], victims: [victim], endings: 0 };
}

interface WithNote {
  readonly name: string;
  readonly user: WebAppUser;
  readonly note: string;
  readonly dueCount?: number | null;
  readonly isInjected?: boolean;
  readonly fields?: Readonly<Record<string, unknown>>;
  readonly dueAtMs?: number;
}

/** An encrypted mission on one encrypted note, with a grant that the API gave while backends end. */
async function writeWithNote(hostile: HostileSystem, given: WithNote): Promise<Target> {
  const { system, apiUrl } = hostile;
  const { user, name } = given;
  const [missionId, noteId] = [randomUUID(), randomUUID()];
  const secret = `SECRET-OF-${name}-${noteId}`;
  const token = await system.issuer.issueToken({ sub: user.userId });
  await persistently(() =>
    system.webApp.insert(user, noteAt(noteId), {
      title: user.encrypt(secret),
      content: user.encrypt(given.note),
    }),
  );
  const grant = await persistently(() =>
    requestGrant(apiUrl, token, { missionId, tables: ['notes'], recordIds: [`notes:${noteId}`] }),
  );
  await persistently(() =>
    system.webApp.insert(user, missionAt(missionId), {
      ...{ state: 'active', cadence: every30Minutes, iterations: [], grant },
      nextRunAt: formatInstant(given.dueAtMs ?? Date.now() - 1_000),
      ...{ title: user.encrypt('Plan the week'), objective: user.encrypt(markOf(missionId)) },
      inputs: [{ module: 'notes', table: 'notes', id: noteId }],
      ...given.fields,
    }),
  );
  const secrets = [secret, markOf(missionId)];
  return {
    ...{ name, user, missionId, noteId, secrets },
    dueCount: given.dueCount ?? null,
    isInjected: given.isInjected ?? false,
  };
}

async function writeHostile(
  hostile: HostileSystem,
  user: WebAppUser,
  mission: World['missions'][number],
): Promise<Target> {
  if (mission.note !== null) {
    const written = await writeWithNote(hostile, {
      ...{ name: 'hostile-note', user, note: mission.note, fields: mission.fields },
    });
    hostile.misbehave(markOf(written.missionId), mission.replies);
    return written;
  }
  const { webApp } = hostile.system;
  const missionId = randomUUID();
  hostile.misbehave(markOf(missionId), mission.replies);
  await persistently(() =>
    webApp.insert(user, missionAt(missionId), {
      ...{
        title: 'Woche',
        objective: markOf(missionId),
        conceptMarkdown: markOf(missionId),
        state: 'active',
      },
      ...{
        cadence: every30Minutes,
        inputs: [],
        iterations: [],
        nextRunAt: formatInstant(Date.now() - 1_000),
      },
      ...mission.fields,
    }),
  );
  for (const row of mission.rows) {
    await persistently(() => webApp.insertRow(user.userId, { ...missionAt(missionId), ...row }));
  }
  return { name: 'hostile', user, missionId, dueCount: null, isInjected: false, secrets: [], noteId: null };
}

/** A well-behaved user of two devices, one of which is behind, who asks twice at once for a run. */
async function runTwice(hostile: HostileSystem): Promise<Target> {
  const { system, apiUrl } = hostile;
  const user = await persistently(() => system.webApp.createUser());
  const target = await writeWithNote(hostile, { name: 'twice', user, note: 'tent, stove', dueCount: 2 });
  const { missionId } = target;
  const device = openDevice(system.webApp, system.databases);
  const written = () => device.iterations(target);
  await waitUntil('the due run has written', async () => (await written()).some(hasEnded));
  const token = await system.issuer.issueToken({ sub: user.userId });
  const ask = (): Promise<number> =>
    fetch(`${apiUrl}/api/v1/me/missions/${missionId}/run`, {
      ...{ method: 'POST', headers: { authorization: `Bearer ${token}` } },
      signal: AbortSignal.timeout(20_000),
    }).then(
      ({ status }) => status,
      () => 0,
    );
  const stale = () =>
    system.webApp.update(user, missionAt(missionId), { title: user.encrypt('x'), iterations: [] });
  const edit = () => system.webApp.update(user, missionAt(missionId), { conceptMarkdown: user.encrypt('y') });
  await Promise.all([
    waitUntil('a run is taken', async () => (await Promise.all([ask(), ask()])).includes(202)),
    persistently(stale),
    persistently(edit),
  ]);
  return target;
}

const hasEnded = ({ overallStatus }: Readonly<Record<string, unknown>>): boolean =>
  overallStatus !== 'running';

async function writeVictim(
  hostile: HostileSystem,
): Promise<{ readonly name: string; readonly lateMs: number | null; readonly target: Target }> {
  const { system } = hostile;
  const user = await persistently(() => system.webApp.createUser());
  const dueAtMs = Date.now() + VICTIM_DUE_IN_MS;
  const target = await writeWithNote(hostile, {
    ...{ name: 'victim', user, note: 'Mia', dueCount: 1, dueAtMs },
  });
  const device = openDevice(system.webApp, system.databases);
  const { result: endedAtMs, stalledMs } = await seeingStalls(() =>
    waitUntil(
      'the victim has its iteration',
      async () => ((await device.iterations(target)).some(hasEnded) ? Date.now() : null),
      { deadlineMs: VICTIM_DEADLINE_MS, everyMs: 100 },
    ).catch(() => null),
  );
  return {
    name: target.missionId,
    lateMs: endedAtMs === null ? null : endedAtMs - dueAtMs - stalledMs,
    target,
  };
}

/** Somebody whose connection is ended tries again: a user does not know what an attack is. */
const persistently = <T>(work: () => Promise<T>): Promise<T> => {
  const attempt = async (left: number): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      if (left === 0) throw error;
      await delay(100);
      return attempt(left - 1);
    }
  };
  return attempt(10);
};

/** Only those of the service: what the test itself holds open is no part of it. */
async function endBackends(hostile: HostileSystem, endings: World['endings']): Promise<number> {
  const { superuser } = hostile.system.databases;
  const names = [superuser.syncUrl, superuser.authUrl].map((url) => new URL(url).pathname.slice(1));
  let count = 0;
  for (const [afterMs, which] of endings) {
    await delay(afterMs);
    const open = await query(
      superuser.syncUrl,
      `select pid from pg_catalog.pg_stat_activity
        where datname = any($1) and usename = any($2) order by pid`,
      [names, ['api_user', 'vault_user', 'runner_user', 'projection_user']],
    );
    const chosen = open[Math.floor(which * open.length)];
    if (chosen === undefined) continue;
    const [row] = await query(superuser.syncUrl, 'select pg_terminate_backend($1) as ended', [chosen['pid']]);
    if (row?.['ended'] === true) count += 1;
  }
  return count;
}

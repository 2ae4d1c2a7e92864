import { setTimeout as delay } from 'node:timers/promises';
import type { Random } from './random.ts';
import type { World } from './world.ts';
import { withClient } from '#dev/platform-schema.ts';
import { missionAt, renewedGrantFields, requestGrant } from '#dev/web-app.ts';
import type { Grant } from '#domain/wire/grant.ts';
import { formatInstant } from '#domain/base/instant.ts';
import { writeCheckedMission } from '#test/support/checked-missions.ts';
import type { WrittenMission } from '#test/support/granted-mission.ts';

/** What users do beside writing a mission, in turns. */
const HABITS = [
  'nothing',
  'row twice',
  'rows shuffled',
  'row late',
  'grant expires',
  'grant renewed',
  'grant revoked',
] as const;
export type Habit = (typeof HABITS)[number];

const DUE_IN_MS = 3_000;
const SHORT_GRANT_MS = 4_000;

/** Writes so many missions, evenly over the time; each is due a moment later. @returns how often users did what */
export async function writeLoad(
  world: World,
  random: Random,
  {
    missions,
    forMs,
    habits: chosen = HABITS,
  }: { readonly missions: number; readonly forMs: number; readonly habits?: readonly Habit[] },
): Promise<Record<string, number>> {
  const habits: Record<string, number> = {};
  const startedAt = Date.now();
  const writing: Promise<void>[] = [];
  for (let count = 0; count < missions; count += 1) {
    await delay(Math.max(0, startedAt + (count * forMs) / missions - Date.now()));
    const habit = chosen[count % chosen.length] ?? 'nothing';
    habits[habit] = (habits[habit] ?? 0) + 1;
    writing.push(writeOne(world, habit, random.between(0, 4_000)));
  }
  await Promise.all(writing);
  return habits;
}

async function writeOne(world: World, habit: Habit, momentMs: number): Promise<void> {
  const { webApp } = world;
  const dueAtMs = Date.now() + DUE_IN_MS;
  const ask = (userId: string, body: Readonly<Record<string, unknown>>): Promise<Grant> =>
    persistently(async () =>
      requestGrant(apiOf(world), await world.issuer.issueToken({ sub: userId }), body),
    );
  const ttl = habit === 'grant expires' ? { ttlMs: SHORT_GRANT_MS } : {};
  let body: Readonly<Record<string, unknown>> = {};
  const mission = await persistently(() =>
    writeCheckedMission(
      {
        webApp,
        requestGrant: (userId, given) => {
          body = { ...given, ...ttl };
          return ask(userId, body);
        },
      },
      dueAtMs,
    ),
  );
  const { user, missionId } = mission;
  const at = missionAt(missionId);
  if (habit === 'row twice') await persistently(() => sendAgain(world, mission, 0));
  if (habit === 'row late') await persistently(() => sendAgain(world, mission, 20));
  if (habit === 'rows shuffled')
    // What was written second arrives before what was written first.
    for (const atMs of [Date.now(), Date.now() - 60_000])
      await persistently(() => webApp.update(user, at, { title: user.encrypt('Plan') }, { atMs }));
  await delay(momentMs);
  if (habit === 'grant renewed') {
    const grant = await ask(user.userId, body);
    await persistently(() => webApp.update(user, at, renewedGrantFields(grant)));
  }
  if (habit === 'grant revoked') await persistently(() => revoke(world, mission));
}

/** The very row under another id, as a device that got no answer sends it; seconds ago by the log's own time. */
const sendAgain = (world: World, { missionId }: WrittenMission, secondsAgo: number): Promise<void> =>
  withClient(world.databases.superuser.syncUrl, async (client) => {
    await client.query(
      `insert into public.sync_changes
        (app_id, table_name, record_id, user_id, space_id, op, data, field_meta, client_id, actor, origin, created_at)
       select app_id, table_name, record_id, user_id, space_id, op, data, field_meta, client_id, actor, origin,
         clock_timestamp() - $2 * interval '1 second'
       from public.sync_changes where record_id = $1 and op = 'insert'`,
      [missionId, secondsAgo],
    );
  });

async function revoke(world: World, { user, missionId }: WrittenMission): Promise<void> {
  const token = await world.issuer.issueToken({ sub: user.userId });
  const response = await fetch(`${apiOf(world)}/api/v1/me/ai-mission-grant/${missionId}`, {
    ...{ method: 'DELETE', headers: { authorization: `Bearer ${token}` } },
    signal: AbortSignal.timeout(10_000),
  });
  if (!response.ok) throw new Error(`revoking a grant: found status ${response.status}`);
  await world.webApp.update(user, missionAt(missionId), {
    grant: null,
    updatedAt: formatInstant(Date.now()),
  });
}

function apiOf({ programs }: World): string {
  const urls = programs.filter(({ role }) => role === 'api').flatMap((program) => program.url() ?? []);
  const url = urls[Math.floor(Math.random() * urls.length)];
  if (url === undefined) throw new Error('no API is there');
  return url;
}

/** Users do not know of faults: they try again. */
export async function persistently<T>(work: () => Promise<T>, attempts = 120): Promise<T> {
  for (let left = attempts; ; left -= 1) {
    try {
      return await work();
    } catch (error) {
      if (left === 1) throw error;
      await delay(500);
    }
  }
}

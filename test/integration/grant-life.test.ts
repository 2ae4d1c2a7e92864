import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildApp } from '#api/app.ts';
import { mintGrant } from '#crypto/wrap-grant.ts';
import { openDatabase, type Database } from '#db/client.ts';
import { withClient } from '#dev/platform-schema.ts';
import {
  gate,
  replyWithText,
  replyWithToolCalls,
  type Gate,
  type ScriptedResponse,
} from '#dev/scripted-gateway.ts';
import { missionAt } from '#dev/web-app.ts';
import type { Grant } from '#domain/wire/grant.ts';
import { toMissionId } from '#domain/base/ids.ts';
import { formatInstant } from '#domain/base/instant.ts';
import type { MissionRunResult } from '#domain/run/run.ts';
import { FAILURE_TEXTS } from '#domain/run/failure-texts.ts';
import { createLogger } from '#logging/logger.ts';
import { UNWRAP_FAILURE_REASONS } from '#metrics/grants.ts';
import { registry } from '#metrics/registry.ts';
import { missionScheduleId } from '#schedules/schedule-ids.ts';
import { bearer, GRANT_URL, mint } from '#test/support/granting-api.ts';
import {
  startRun,
  writeGrantedMission,
  writePlaintextMissionOf,
  type WrittenMission,
} from '#test/support/granted-mission.ts';
import { startMissionSystem, type MissionSystem } from '#test/support/mission-system.ts';
import { countLeftovers, NOTHING_LEFT, readAudit } from '#test/support/stored-rows.ts';
import { waitUntil } from '#test/support/wait-until.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** Objectives of missions whose first round is held back. */
const gated = new Map<string, Gate>();
/** How many requests came for an objective. */
const asked = new Map<string, number>();

const plan: ScriptedResponse = replyWithToolCalls([
  { name: 'create_task', arguments: { title: 'Zug buchen', priority: 'high' } },
]);

let system: MissionSystem;
beforeAll(async () => {
  system = await startMissionSystem({
    script: (request) => {
      const prompt = JSON.stringify(request.body.messages);
      const objective = /objective-[a-z-]+/.exec(prompt)?.[0] ?? 'none';
      asked.set(objective, (asked.get(objective) ?? 0) + 1);
      const isFirst = !request.body.messages.some((message) => message.role === 'tool');
      if (!isFirst) return replyWithText('Eine Aufgabe vorgeschlagen.');
      return gated.get(objective)?.hold(plan) ?? plan;
    },
  });
});
afterAll(() => system.close());

type Iteration = Readonly<Record<string, unknown>>;
const iterationsOf = async ({ user, missionId }: WrittenMission, of = system): Promise<Iteration[]> => {
  const read = await of.webApp.read(user, missionAt(missionId));
  return (read?.record['iterations'] ?? []) as Iteration[];
};
const run = async (mission: WrittenMission, of = system): Promise<MissionRunResult> =>
  (await startRun(of.client, mission)).result();
const grantRoute = async (
  method: 'GET' | 'DELETE',
  { user, missionId }: WrittenMission,
): Promise<{ status: number; state: unknown }> => {
  const token = await system.issuer.issueToken({ sub: user.userId });
  const url = `${GRANT_URL}/${missionId}`;
  const response = await system.api.inject({ method, url, headers: bearer(token) });
  return {
    status: response.statusCode,
    state: response.body === '' ? null : response.json<{ state: unknown }>().state,
  };
};
const failedWith = (code: keyof typeof FAILURE_TEXTS, phase: string) => ({
  overallStatus: 'failed',
  source: 'server',
  plan: [],
  summary: FAILURE_TEXTS[code],
  errorDetails: { name: code, message: FAILURE_TEXTS[code], phase },
});

describe('a grant that is revoked while its mission runs', () => {
  it('stops the run at its next round, and the iteration says so', async () => {
    const objective = 'objective-revoked-between-rounds';
    const held = gate();
    gated.set(objective, held);
    const mission = await writeGrantedMission(system, objective);
    const handle = await startRun(system.client, mission);
    await waitUntil('round 1 is under way', () => asked.get(objective));
    expect((await countLeftovers(system.databases, mission.missionId)).sealed_inputs).toBe(2);

    expect(await grantRoute('DELETE', mission)).toEqual({ status: 204, state: null });
    expect((await countLeftovers(system.databases, mission.missionId)).sealed_inputs).toBe(0);
    held.open();

    expect(await handle.result()).toMatchObject({ outcome: 'failed', failureCode: 'grant-revoked' });
    expect(await iterationsOf(mission)).toMatchObject([failedWith('grant-revoked', 'calling-llm')]);
    expect(asked.get(objective)).toBe(1);
    expect(await countLeftovers(system.databases, mission.missionId)).toEqual(NOTHING_LEFT);
    expect(await readAudit(system.databases, mission.missionId)).toEqual(['aiMissions ok', 'notes ok']);
    expect(await grantRoute('GET', mission)).toEqual({ status: 200, state: 'revoked' });
  });

  it('stops it likewise when the web app writes `grant: null`', async () => {
    const objective = 'objective-nulled-between-rounds';
    const held = gate();
    gated.set(objective, held);
    const mission = await writeGrantedMission(system, objective);
    const handle = await startRun(system.client, mission);
    await waitUntil('round 1 is under way', () => asked.get(objective));
    await system.webApp.update(mission.user, missionAt(mission.missionId), { grant: null });
    held.open();
    expect(await handle.result()).toMatchObject({ outcome: 'failed', failureCode: 'grant-revoked' });
    expect(await iterationsOf(mission)).toMatchObject([failedWith('grant-revoked', 'calling-llm')]);
    await waitUntil('the mint log knows', async () => (await grantRoute('GET', mission)).state === 'revoked');
  });

  it('before the run: nothing is sealed and nobody is asked; a new grant works again', async () => {
    const objective = 'objective-revoked-before';
    const mission = await writeGrantedMission(system, objective);
    await grantRoute('DELETE', mission);
    expect(await run(mission)).toMatchObject({ outcome: 'failed', failureCode: 'grant-revoked' });
    expect(asked.get(objective)).toBeUndefined();
    expect(await readAudit(system.databases, mission.missionId)).toEqual([]);

    const record = (await system.webApp.read(mission.user, missionAt(mission.missionId)))?.record;
    const old = record?.['grant'] as Grant;
    const grant = await system.requestGrant(mission.user.userId, {
      missionId: mission.missionId,
      tables: old.derivation.tables,
      recordIds: old.derivation.recordIds,
    });
    await system.webApp.update(mission.user, missionAt(mission.missionId), { grant });
    const again = await startRun(system.client, mission, { workflowId: `again:${mission.missionId}` });
    expect(await again.result()).toMatchObject({ outcome: 'planned', failureCode: null });
  });
});

describe('a grant that ends before the next run', () => {
  /** On the hour that has just passed, so that the run is due and the next one a whole week later. */
  const lastHourMs = (): number => Math.floor(Date.now() / HOUR_MS) * HOUR_MS;
  const weekly = (): Record<string, unknown> => {
    const due = new Date(lastHourMs());
    return {
      cadence: { kind: 'weekly', dayOfWeek: due.getUTCDay(), atHour: due.getUTCHours() },
      nextRunAt: formatInstant(due.getTime()),
    };
  };
  /** A mission with a grant of the default 7 days from the API, as if the database's clock had stood at that instant. */
  const weeklyMission = async (objective: string, grantedAtMs: number): Promise<WrittenMission> => {
    const open = (url: string): Database =>
      openDatabase({ url, applicationName: 'earlier-api', maxConnections: 1 });
    const syncDatabase = open(system.databases.urls.api.sync);
    const authDatabase = open(system.databases.urls.api.auth);
    const earlier = await buildApp({
      ...{ syncDatabase, authDatabase },
      identity: {
        jwksUrl: `${system.issuer.url}/api/v1/auth/jwks`,
        issuer: system.issuer.url,
        audience: 'mana',
      },
      keks: { default: system.keys.kek, byId: new Map() },
      grantPublicKey: system.keys.publicKey,
      grantMintVersion: 'v2',
      corsOrigins: [],
      trustedProxies: [],
      logger: createLogger('api', 'silent'),
      readClock: () => Promise.resolve(grantedAtMs),
    });
    try {
      return await writeGrantedMission(
        {
          webApp: system.webApp,
          requestGrant: async (userId, body) =>
            mint(earlier, await system.issuer.issueToken({ sub: userId }), { ...body, timeZone: 'UTC' }),
        },
        objective,
        weekly(),
      );
    } finally {
      await earlier.close();
      await Promise.all([syncDatabase.close(), authDatabase.close()]);
    }
  };
  const iterationOf = async (mission: WrittenMission): Promise<Iteration> => {
    const [iteration] = await waitUntil('the iteration', async () => {
      const iterations = await iterationsOf(mission);
      return iterations.some(({ overallStatus }) => overallStatus !== 'running') ? iterations : null;
    });
    return iteration ?? {};
  };
  // The mission's own words are English.
  const format = new Intl.DateTimeFormat('en-GB', {
    dateStyle: 'medium',
    timeStyle: 'short',
    timeZone: 'UTC',
  });

  it('is announced: of a weekly mission that got its default of 7 days two days before this run', async () => {
    const grantedAtMs = Date.now() - 2 * DAY_MS;
    const mission = await weeklyMission('objective-weekly', grantedAtMs);
    const iteration = await iterationOf(mission);
    const expiresAt = format.format(grantedAtMs + 7 * DAY_MS);
    const nextRunAt = format.format(lastHourMs() + 7 * DAY_MS);
    expect(iteration).toMatchObject({
      overallStatus: 'awaiting-review',
      summary: `Eine Aufgabe vorgeschlagen.\n\nThe access granted to this mission ends on ${expiresAt}, before it is next due on ${nextRunAt}. Open the mission in the app and renew the access, so that it runs in the background then, too.`,
    });
    const token = await system.issuer.issueToken({ sub: mission.user.userId });
    await waitUntil('the API says so as well', async () => {
      const url = `${GRANT_URL}/${mission.missionId}`;
      const response = await system.api.inject({ url, headers: bearer(token) });
      return response.json<Record<string, unknown>>()['expiresBeforeNextRun'] === true;
    });
  });

  it('is not announced when it lasts: of the same mission, granted after the instant of this run', async () => {
    const mission = await weeklyMission('objective-weekly-fresh', Date.now());
    expect((await iterationOf(mission))['summary']).toBe('Eine Aufgabe vorgeschlagen.');
  });
});

it('a grant request with another time zone makes the schedule follow', async () => {
  const mission = await writeGrantedMission(system, 'objective-zone', {
    cadence: { kind: 'daily', atHour: 8, atMinute: 0 },
    nextRunAt: formatInstant(Date.now() + 20 * DAY_MS),
  });
  const schedule = system.client.schedule.getHandle(
    missionScheduleId(mission.user.userId, mission.missionId),
  );
  const zone = async (): Promise<string | undefined> => (await schedule.describe()).spec.timezone;
  await waitUntil('the schedule in the first zone', async () => (await zone()) === 'Europe/Berlin');
  await system.requestGrant(mission.user.userId, {
    missionId: mission.missionId,
    tables: ['notes'],
    recordIds: ['notes:n1'],
    timeZone: 'America/New_York',
  });
  await waitUntil('the schedule in the second zone', async () => (await zone()) === 'America/New_York');
});

describe('a grant that does not unwrap', () => {
  const failures = async (): Promise<Record<string, number>> => {
    const text = await registry.getSingleMetricAsString('mana_grant_unwrap_failures_total');
    const series = text.matchAll(/reason="([\w-]+)"\} (\d+)/g);
    return Object.fromEntries(
      [...series].map(([, reason = '', value]): [string, number] => [reason, Number(value)]),
    );
  };
  /** Runs a mission, and gives back by how much the failures of each reason grew. */
  const failuresOf = async (mission: WrittenMission, of = system): Promise<Record<string, number>> => {
    const before = await failures();
    const { failureCode } = await run(mission, of);
    const after = await failures();
    expect(await iterationsOf(mission, of)).toMatchObject([
      failedWith(failureCode ?? 'run-interrupted', 'resolving-inputs'),
    ]);
    return Object.fromEntries(
      UNWRAP_FAILURE_REASONS.map((reason) => [reason, (after[reason] ?? 0) - (before[reason] ?? 0)]),
    );
  };
  const none = { 'not-configured': 0, expired: 0, malformed: 0, 'wrap-rejected': 0 };
  const withGrant = async (change: (grant: Grant) => unknown, of = system): Promise<WrittenMission> => {
    const mission = await writeGrantedMission(of, 'objective-never-asked');
    const read = await of.webApp.read(mission.user, missionAt(mission.missionId));
    const grant = change(read?.record['grant'] as Grant);
    await of.webApp.update(mission.user, missionAt(mission.missionId), { grant });
    return mission;
  };

  it.each<[keyof typeof none, (grant: Grant) => unknown]>([
    ['expired', (grant) => ({ ...grant, expiresAt: formatInstant(Date.now() - 1) })],
    ['expired', (grant) => ({ ...grant, expiresAt: 'next week' })],
    ['malformed', (grant) => ({ ...grant, wrappedKey: 'no base64!' })],
    ['malformed', () => ({ expiresAt: '2999-01-01T00:00:00.000Z' })],
    ['wrap-rejected', (grant) => ({ ...grant, wrappedKey: randomBytes(256).toString('base64') })],
    ['wrap-rejected', (grant) => ({ ...grant, expiresAt: '2999-01-01T00:00:00.000Z' })],
  ])('%s: the run fails in plain words, and the reason is counted', async (reason, change) => {
    expect(await failuresOf(await withGrant(change))).toEqual({ ...none, [reason]: 1 });
    expect(asked.get('objective-never-asked')).toBeUndefined();
  });

  it('not-configured likewise, and missions in clear run on', async () => {
    const unconfigured = await startMissionSystem({
      grantsConfigured: false,
      script: () => replyWithText('Nichts zu tun.'),
    });
    try {
      const mission = await writeGrantedMission(unconfigured, 'objective-never-asked');
      expect(await failuresOf(mission, unconfigured)).toEqual({ ...none, 'not-configured': 1 });
      const plaintext = await writePlaintextMissionOf(unconfigured.webApp, mission.user, 'in clear');
      const result = await run({ user: mission.user, missionId: plaintext }, unconfigured);
      expect(result.outcome).toBe('empty-plan');
      const warnings = unconfigured.logLines.filter((line) => line.includes('grants are off'));
      expect(warnings).toHaveLength(1);
    } finally {
      await unconfigured.close();
    }
  });
});

it('a v1 grant of another service that was revoked before its first use opens nothing', async () => {
  const mission = await writeGrantedMission(system, 'objective-foreign');
  const { missionId } = mission;
  await withClient(system.databases.superuser.syncUrl, async (client) => {
    // Minted elsewhere: what we know of it is only what the mission says.
    await client.query('delete from mana_ai.mission_grants where mission_id = $1', [missionId]);
  });
  const read = await system.webApp.read(mission.user, missionAt(missionId));
  const { derivation } = read?.record['grant'] as Grant;

  const foreignGrant = (): Grant =>
    mintGrant({
      version: 'v1',
      masterKey: mission.user.masterKey,
      userId: mission.user.userId,
      missionId: toMissionId(missionId),
      tables: derivation.tables,
      recordIds: derivation.recordIds,
      issuedAtMs: Date.now(),
      ttlMs: DAY_MS,
      publicKey: system.keys.publicKey,
    }).grant;
  await system.webApp.update(mission.user, missionAt(missionId), { grant: foreignGrant() });
  await grantRoute('DELETE', mission);
  expect(await run(mission)).toMatchObject({ outcome: 'failed', failureCode: 'grant-revoked' });
  await system.webApp.update(mission.user, missionAt(missionId), { grant: foreignGrant() });
  const again = await startRun(system.client, mission, { workflowId: `again:${missionId}` });
  expect(await again.result()).toMatchObject({ outcome: 'planned' });
});

import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildApp } from '#api/app.ts';
import { openDatabase } from '#db/client.ts';
import { freePort } from '#dev/free-port.ts';
import { agentAt, missionAt } from '#dev/web-app.ts';
import { nextCadenceInstant } from '#domain/cadence/cadence.ts';
import { createLogger } from '#logging/logger.ts';
import { missionScheduleId } from '#schedules/schedule-ids.ts';
import { openClient } from '#temporal/connection.ts';
import { createDataConverter } from '#temporal/data-converter.ts';
import { PROJECTION_PASS_WORKFLOW_TYPE } from '#temporal/messages.ts';
import { signIn, type ApiUser } from '#test/support/api-user.ts';
import { writePlaintextMissionOf } from '#test/support/granted-mission.ts';
import { SERVICE_KEY, startMissionSystem, type MissionSystem } from '#test/support/mission-system.ts';
import { waitUntil } from '#test/support/wait-until.ts';

interface Schedule {
  readonly timeZone: string | null;
  readonly timeZoneSource: string | null;
  readonly nextRunAt: string | null;
  readonly nextFires: readonly string[];
  readonly paused: boolean;
  readonly pausedReason: string | null;
  readonly pausedNote: string | null;
}
const RUNS = { paused: false, pausedReason: null, pausedNote: null };

let system: MissionSystem;
let ada: ApiUser;
let bob: ApiUser;
beforeAll(async () => {
  system = await startMissionSystem({ script: [], parts: ['projection'] });
  ada = await signIn(system, await system.webApp.createUser());
  bob = await signIn(system, await system.webApp.createUser());
});
afterAll(() => system.close());

const daily = { kind: 'daily', atHour: 8, atMinute: 0 } as const;

/** The instant of `daily` in a zone that lies ahead, and those after it. */
function instantsOf(timeZone: string, count: number, afterMs = Date.now()): string[] {
  const instants: string[] = [];
  for (let at: number | null = afterMs; at !== null && instants.length < count;) {
    at = nextCadenceInstant({ cadence: daily, anchorMs: afterMs, afterMs: at, timeZone });
    if (at !== null) instants.push(new Date(at).toISOString());
  }
  return instants;
}

/** A mission of Ada that runs at eight o'clock in Berlin. */
async function dailyMission(fields: Readonly<Record<string, unknown>> = {}): Promise<string> {
  const [nextRunAt] = instantsOf('Europe/Berlin', 1);
  const missionId = await writePlaintextMissionOf(system.webApp, ada.user, 'x', {
    cadence: daily,
    nextRunAt,
    ...fields,
  });
  await until(missionId, 'it is known', () => true);
  return missionId;
}

const until = (missionId: string, what: string, is: (schedule: Schedule) => boolean): Promise<Schedule> =>
  waitUntil(what, async () => {
    const response = await ada.ask('GET', `${missionId}/schedule`);
    if (response.statusCode !== 200) return null;
    const schedule = response.json<Schedule>();
    return is(schedule) ? schedule : null;
  });

const put = async (missionId: string, body?: object): Promise<Schedule> => {
  const response = await ada.ask('PUT', `${missionId}/schedule`, body);
  expect(response.statusCode, response.body).toBe(200);
  return response.json();
};

const handleOf = (missionId: string) =>
  system.client.schedule.getHandle(missionScheduleId(ada.user.userId, missionId));

const untilScheduled = (missionId: string, isThere: boolean): Promise<boolean> =>
  waitUntil(`the schedule is ${isThere ? 'there' : 'gone'}`, async () => {
    const found = await handleOf(missionId)
      .describe()
      .then(
        () => true,
        () => false,
      );
    return found === isThere;
  });

describe('the schedule of a mission', () => {
  it('shows the next five fires in the zone that was named last, whatever else the body holds', async () => {
    const missionId = await dailyMission();
    const [nextRunAt] = instantsOf('Europe/Berlin', 1);
    const berlin = await put(missionId, { timeZone: 'Europe/Berlin', nextRunAt: 'ignored', missionId: 7 });
    expect(berlin).toEqual({
      ...{ missionId, timeZone: 'Europe/Berlin', timeZoneSource: 'mission', cadence: daily, nextRunAt },
      ...{ nextFires: instantsOf('Europe/Berlin', 5), ...RUNS },
    });
    const kolkata = await put(missionId, { timeZone: 'Asia/Kolkata' });
    expect(kolkata.nextFires).toEqual([
      nextRunAt,
      ...instantsOf('Asia/Kolkata', 4, Date.parse(nextRunAt ?? '')),
    ]);
    // Another mission of hers follows.
    const other = await until(await dailyMission(), 'it follows', ({ timeZone }) => timeZone !== null);
    expect(other).toMatchObject({ timeZone: 'Asia/Kolkata', timeZoneSource: 'user' });
    expect(await put(missionId)).toEqual(kolkata);
    await waitUntil('the calendars of the schedule follow', async () => {
      const { raw } = await handleOf(missionId).describe();
      return raw.schedule?.spec?.timezoneName === 'Asia/Kolkata';
    });
  });

  it('refuses an unknown time zone by its name', async () => {
    const missionId = await dailyMission();
    const bodies = [{ timeZone: 'Mars/Olympus' }, { timeZone: 7 }, ['x']];
    const answers = await Promise.all(bodies.map((body) => ada.ask('PUT', `${missionId}/schedule`, body)));
    expect(answers.map(({ statusCode }) => statusCode)).toEqual([400, 400, 400]);
    expect(answers.map((answer) => answer.json<{ error: string }>().error.split(',')[0])).toEqual([
      'body.timeZone: found an unknown time zone',
      'body.timeZone: found no text',
      'body: found no object',
    ]);
  });

  it('is taken out of the background and brought back', async () => {
    const missionId = await dailyMission();
    await untilScheduled(missionId, true);
    for (const status of [204, 204]) {
      expect((await ada.ask('DELETE', `${missionId}/schedule`)).statusCode).toBe(status);
    }
    expect(await until(missionId, 'it is known', () => true)).toMatchObject({
      ...{ paused: true, pausedReason: 'opted-out', nextFires: [] },
    });
    await untilScheduled(missionId, false);
    expect(await put(missionId, {})).toMatchObject(RUNS);
    await untilScheduled(missionId, true);
  });

  it("shows an operator's pause with the note, and its end", async () => {
    const missionId = await dailyMission();
    await untilScheduled(missionId, true);
    await handleOf(missionId).pause('INC-7: the gateway is expensive today');
    const paused = await until(missionId, 'it is paused', (schedule) => schedule.paused);
    expect(paused).toMatchObject({
      ...{ pausedReason: 'operator', pausedNote: 'INC-7: the gateway is expensive today', nextFires: [] },
    });
    // What the user asks for is no operator's business.
    expect(await put(missionId, {})).toEqual(paused);
    await handleOf(missionId).unpause('the bill is paid');
    expect(await until(missionId, 'it runs', (schedule) => !schedule.paused)).toMatchObject(RUNS);
  });

  it('shows that mission or agent stand still', async () => {
    const agentId = 'agent-1';
    const agent = agentAt(agentId);
    await system.webApp.insert(ada.user, agent, { name: 'Mana', role: '', state: 'active' });
    const missionId = await dailyMission({ agentId });
    await system.webApp.update(ada.user, agent, { state: 'paused' });
    await until(missionId, 'the agent is paused', ({ pausedReason }) => pausedReason === 'agent-paused');
    const refused = await ada.ask('POST', `${missionId}/run`);
    expect([refused.statusCode, refused.json()]).toMatchObject([409, { code: 'AGENT_NOT_ACTIVE' }]);
    await system.webApp.update(ada.user, missionAt(missionId), { state: 'done' });
    await until(missionId, 'it is done', ({ pausedReason }) => pausedReason === 'mission-done');
  });

  it("is not found for somebody else's mission, and for none", async () => {
    const missionId = await dailyMission();
    const answers = await Promise.all([
      ...(['GET', 'PUT', 'DELETE'] as const).map((method) => bob.ask(method, `${missionId}/schedule`)),
      ada.ask('GET', 'nowhere/schedule'),
    ]);
    for (const answer of answers) {
      expect([answer.statusCode, answer.json()]).toMatchObject([404, { code: 'NOT_FOUND' }]);
    }
    expect(await until(missionId, 'it is known', () => true)).toMatchObject(RUNS);
  });
});

describe('a run that no worker has taken up yet', () => {
  it('is shown without a phase, keeps a second one away and can be cancelled', async () => {
    const missionId = await dailyMission();
    const started = await ada.ask('POST', `${missionId}/run`);
    const { runId } = started.json<{ runId: string }>();
    expect(started.statusCode).toBe(202);
    const shown = await ada.ask('GET', `runs/${runId}`);
    expect(shown.json()).toMatchObject({ missionId, state: 'running', rounds: null, live: null });
    await waitUntil('visibility shows it', async () => {
      const { runs } = (await ada.ask('GET', `${missionId}/runs`)).json<{ runs: { runId: string }[] }>();
      return runs.length === 1 && runs[0]?.runId === runId;
    });
    expect((await ada.ask('POST', `${missionId}/run`)).statusCode).toBe(409);
    expect((await ada.ask('POST', `runs/${runId}/cancel`)).statusCode).toBe(202);
  });
});

describe('while Temporal is down', () => {
  it('whatever needs it answers 503 soon and changes nothing; the rest works', async () => {
    const missionId = await dailyMission();
    const { urls } = system.databases;
    const databases = [urls.api.sync, urls.api.auth].map((url) =>
      openDatabase({ url, applicationName: 'no-temporal', maxConnections: 2 }),
    );
    const [syncDatabase, authDatabase] = databases;
    if (syncDatabase === undefined || authDatabase === undefined) throw new Error('no databases');
    const codecKeys = { primaryKeyId: 'k', keys: new Map([['k', randomBytes(32)]]) };
    const nowhere = { address: `127.0.0.1:${await freePort()}`, namespace: 'none' };
    const temporal = openClient(nowhere, createDataConverter(codecKeys));
    const api = await buildApp({
      ...{ syncDatabase, authDatabase, temporalClient: temporal.client },
      serviceKeySha256: [createHash('sha256').update(SERVICE_KEY).digest()],
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
      logger: createLogger('test', 'silent'),
    });
    try {
      const cut = await signIn({ ...system, api }, ada.user);
      const tick = {
        method: 'POST',
        url: '/internal/tick',
        headers: { 'x-service-key': SERVICE_KEY },
      } as const;
      const answers = await Promise.all([
        cut.ask('GET', `${missionId}/schedule`),
        cut.ask('PUT', `${missionId}/schedule`, { timeZone: 'Asia/Kolkata' }),
        cut.ask('POST', `${missionId}/run`),
        cut.ask('GET', `${missionId}/runs`),
        cut.ask('GET', 'runs/00000000-0000-4000-8000-000000000000'),
        api.inject(tick),
      ]);
      for (const answer of answers) {
        expect([answer.statusCode, answer.json()]).toMatchObject([503, { code: 'TEMPORAL_UNAVAILABLE' }]);
      }
      expect((await ada.ask('GET', `${missionId}/schedule`)).json()).not.toMatchObject({
        timeZoneSource: 'mission',
      });
      expect((await cut.ask('DELETE', `${missionId}/schedule`)).statusCode).toBe(204);
    } finally {
      await api.close();
      await temporal.close();
      await Promise.all(databases.map((database) => database.close()));
    }
  });
});

describe('POST /internal/tick', () => {
  const tick = (headers: Record<string, string>) =>
    system.api.inject({ method: 'POST', url: '/internal/tick', headers });

  it('is for services of the platform only', async () => {
    const none: Record<string, string>[] = [{}, { 'x-service-key': 'wrong' }, { 'x-service-key': '' }];
    for (const headers of none) {
      const response = await tick(headers);
      expect([response.statusCode, response.json()]).toMatchObject([401, { code: 'UNAUTHORIZED' }]);
    }
  });

  it('makes a pass and gives its counts; calls that overlap share one', async () => {
    await writePlaintextMissionOf(system.webApp, ada.user, 'x');
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => tick({ 'x-service-key': SERVICE_KEY })),
    );
    const counts = expect.any(Number) as number;
    for (const answer of answers) {
      expect([answer.statusCode, answer.json()]).toEqual([
        200,
        { changes: counts, records: counts, schedules: counts, started: counts, pending: 0 },
      ]);
    }
    const passes = await waitUntil('visibility shows the passes', async () => {
      const query = `WorkflowType = '${PROJECTION_PASS_WORKFLOW_TYPE}'`;
      return (await system.client.workflow.count(query)).count;
    });
    expect(passes).toBeLessThan(8);
  });
});

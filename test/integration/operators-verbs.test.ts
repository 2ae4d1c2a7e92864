import type { Client } from '@temporalio/client';
import { createHash, generateKeyPairSync, randomBytes, randomUUID, type KeyObject } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { diagnose } from '#commands/doctor/diagnose.ts';
import { databaseChecks, databasesOf } from '#commands/doctor/databases.ts';
import { findingsOf, type DoctorCheck, type Finding } from '#commands/finding.ts';
import { keyChecks } from '#commands/doctor/keys.ts';
import { neighbourChecks } from '#commands/doctor/neighbours.ts';
import { judgeProcesses } from '#commands/doctor/processes.ts';
import { temporalChecks } from '#commands/doctor/temporal.ts';
import { loadTemporalCommandConfig } from '#config/temporal-command.ts';
import { explainMission } from '#commands/explain/explain-mission.ts';
import { agentAt, missionAt } from '#dev/web-app.ts';
import { gate } from '#dev/scripted-gateway.ts';
import { listAllRuns } from '#runs/all-runs.ts';
import { missionScheduleId } from '#schedules/schedule-ids.ts';
import { runSearchAttributes } from '#schedules/schedule-request.ts';
import {
  MISSION_RUN_WORKFLOW_TYPE,
  RUNNER_TASK_QUEUE,
  type MissionRunInput,
  type RunTrigger,
} from '#temporal/messages.ts';
import {
  writeGrantedMission,
  writePlaintextMission,
  type WrittenMission,
} from '#test/support/granted-mission.ts';
import { formatInstant } from '#domain/base/instant.ts';
import { openDatabase } from '#db/client.ts';
import { checkPlanning } from '#db/planning-stop.ts';
import { runProjectionPass } from '#schedules/system-workflows.ts';
import { freePort } from '#dev/free-port.ts';
import type { ProcessRole } from '#config/zones.ts';
import { missionScheduleSpec } from '#domain/cadence/schedule-spec.ts';
import { createMissionSchedules } from '#schedules/mission-schedules.ts';
import { SWEEP_SCHEDULE } from '#schedules/system-schedules.ts';
import { connect } from '#temporal/connection.ts';
import { surroundingsOf } from '#test/faults/surroundings.ts';
import { query } from '#test/support/inspect.ts';
import { startMissionSystem, SERVICE_KEY, type MissionSystem } from '#test/support/mission-system.ts';
import { runMissions } from '#test/support/operator-commands.ts';
import { replyOfTwoRounds } from '#test/support/planner-scripts.ts';
import { environmentOf } from '#test/support/worker-process.ts';
import { waitUntil } from '#test/support/wait-until.ts';

type Env = Readonly<Record<string, string>>;

let system: MissionSystem;
/** The gateway answers missions with this objective once the gate opens. */
const HELD = 'objective-held-back';
const held = gate();
/** What an operator has who has everything. */
let operator: Env;
/** Of one process alone. */
let envOf: (role: Exclude<ProcessRole, 'all'>) => Env;
let gateway: Server;
/** What the gateway answers to whom it is asked for its models by. */
let modelsStatus = 200;

beforeAll(async () => {
  system = await startMissionSystem({
    script: (request) =>
      request.bodyText.includes(HELD) ? held.hold(replyOfTwoRounds(request)) : replyOfTwoRounds(request),
  });
  gateway = createServer((request, response) => {
    const isKnown = request.url === '/v1/models' && request.headers['x-api-key'] === SERVICE_KEY;
    response.writeHead(isKnown ? modelsStatus : 401).end('{"data":[]}');
  });
  gateway.listen(0, '127.0.0.1');
  await once(gateway, 'listening');
  const around = {
    ...(await surroundingsOf(system)),
    gateway: { url: `http://127.0.0.1:${(gateway.address() as AddressInfo).port}`, serviceKey: SERVICE_KEY },
  };
  envOf = (role) => environmentOf(role, around);
  const { SYNC_DATABASE_URL: apiUrl = '', ...api } = envOf('api');
  const hash = createHash('sha256').update(SERVICE_KEY).digest('hex');
  operator = {
    ...environmentOf('all', around),
    ...{ ...api, SYNC_DATABASE_URL_API: apiUrl, MANA_SERVICE_KEY_SHA256: hash, OPERATOR_TOKEN_SHA256: hash },
    MAINTENANCE_DATABASE_URL: system.databases.urls.maintenance.sync,
  };
  await scheduleOf('planted', system.client);
});
afterAll(async () => {
  held.open();
  gateway.close();
  await system.close();
});

/** A schedule whose input is under the client's first key. */
async function scheduleOf(userId: string, client: Client): Promise<void> {
  const spec = missionScheduleSpec({
    cadence: { kind: 'interval', everyMinutes: 60 },
    nextRunAtMs: Date.now() + 3_600_000,
    timeZone: 'UTC',
  });
  if (spec === null) throw new Error('no spec');
  const schedules = createMissionSchedules({ client, taskQueue: 'nobody' });
  await schedules.ensure({ userId, missionId: 'mission', agentId: null, spec });
}

async function findings(env: Env, ...roles: ProcessRole[]): Promise<Finding[]> {
  const found: Finding[] = [];
  for await (const finding of diagnose(env, roles)) found.push(finding);
  return found;
}

/** Makes some of the checks alone. */
async function made(checks: readonly DoctorCheck[]): Promise<Finding[]> {
  return (await Promise.all(checks.map((check) => findingsOf(check, [])))).flat();
}
const configsOf = (env: Env, ...roles: ProcessRole[]) =>
  judgeProcesses(env, roles).flatMap(({ config }) => (config === null ? [] : [config]));
const databaseFindings = (env: Env, ...roles: ProcessRole[]): Promise<Finding[]> =>
  made(databaseChecks(databasesOf(configsOf(env, ...roles)), env['MAINTENANCE_DATABASE_URL'] ?? null));
async function temporalFindings(env: Env, ...names: string[]): Promise<Finding[]> {
  const { checks, close } = temporalChecks(loadTemporalCommandConfig(env));
  try {
    return await made(checks.filter(({ name }) => names.length === 0 || names.includes(name)));
  } finally {
    await close();
  }
}
const withStatus = (found: readonly Finding[], status: Finding['status']): string[] =>
  found.filter((finding) => finding.status === status).map((finding) => `${finding.check}: ${finding.found}`);

/** While it holds, the statement is in force. */
async function planted<T>(plant: string, takeAway: string, work: () => Promise<T>, auth = false): Promise<T> {
  const { superuser } = system.databases;
  const url = auth ? superuser.authUrl : superuser.syncUrl;
  await query(url, plant);
  try {
    return await work();
  } finally {
    await query(url, takeAway);
  }
}

/** Any of these in what a verb says would be a word of the user. */
const WORDS = ['Plan the holiday', 'Packing list', 'objective-', 'tent, stove', 'Book the train'];

const ofRole = (role: 'projection' | 'api' | 'runner' | 'maintenance'): string =>
  system.databases.urls[role].sync;
const superuser = (sql: string, values: readonly unknown[] = []) =>
  query(system.databases.superuser.syncUrl, sql, values);

/** `status check: found` of each line. */
async function explained({ user, missionId }: WrittenMission): Promise<string[]> {
  const config = {
    ...{ projectionUrl: ofRole('projection'), apiUrl: ofRole('api'), runnerUrl: ofRole('runner') },
    ...{ privateKeys: [system.keys.privateKey], defaultTokensPerDay: 500_000 },
  };
  const ids = { userId: user.userId, missionId };
  const { checks, close } = explainMission(config, system.client, ids);
  try {
    const lines = (await made(checks)).map(({ status, check, found }) => `${status} ${check}: ${found}`);
    for (const word of WORDS) expect(lines.join()).not.toContain(word);
    return lines;
  } finally {
    await close();
  }
}
const faultsOf = async (mission: WrittenMission): Promise<string[]> =>
  (await explained(mission)).filter((line) => line.startsWith('fault'));

/** As the projection has applied it. */
async function applied(mission: WrittenMission): Promise<WrittenMission> {
  await waitUntil('the mission is applied', async () => {
    const [row] = await superuser(
      'select version = applied_version as done from mana_ai.mission_snapshots where user_id = $1 and mission_id = $2',
      [mission.user.userId, mission.missionId],
    );
    return row?.['done'] === true;
  });
  return mission;
}
const daily = { cadence: { kind: 'daily', atHour: 8, atMinute: 0 } };

describe('yarn missions explain', () => {
  it('a granted mission: runs by itself, when and in which zone, what its grant covers, in ids alone', async () => {
    const { user, missionId } = await applied(
      await writeGrantedMission(system, 'objective-explained', daily),
    );
    const { code, stdout, stderr } = await runMissions(['explain', user.userId, missionId], operator);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^ok +schedule: next: \d{4}-[^(]*Z \(Europe\/Berlin, named for it\)$/m);
    expect(stdout).toMatch(/^ok +grant: usable, 2 records, until /m);
    expect(stdout).toMatch(/^ok +record: grant in the record: opens, under key [\da-f]{16}$/m);
    expect(stdout).toMatch(
      /^ok +record: budget: 0 of 500000 tokens used in 24 hours, 0 reserved \(of the user\)$/m,
    );
    expect(stdout).toMatch(/^ok +last runs: Temporal knows none/m);
    expect(stdout).toMatch(/^it runs by itself$/m);
    for (const word of WORDS) expect(stdout).not.toContain(word);
  });

  it('ids that nobody knows, and a mission that was deleted', async () => {
    const user = await system.webApp.createUser();
    expect(await faultsOf({ user, missionId: randomUUID() })).toEqual([
      'fault schedule: the projection has never seen a row of it',
      'fault record: the log has no such mission of this user, or its tombstone',
    ]);
    const gone = await applied(await writePlaintextMission(system.webApp, 'objective-gone', daily));
    await system.webApp.update(gone.user, missionAt(gone.missionId), { deletedAt: new Date().toISOString() });
    await waitUntil('it is gone', async () =>
      (await faultsOf(gone)).some((line) => line.includes('deleted')),
    );
  });

  it('every reason at once, not the first alone; what users hold and what operators hold', async () => {
    const { webApp } = system;
    const mission = await writePlaintextMission(webApp, 'objective-held', { ...daily, agentId: 'agent-1' });
    await webApp.insert(mission.user, agentAt('agent-1'), {
      name: 'Agent',
      state: 'archived',
      maxTokensPerDay: 0,
    });
    await applied(mission);
    const handle = system.client.schedule.getHandle(
      missionScheduleId(mission.user.userId, mission.missionId),
    );
    await handle.pause('for the migration');
    const held = async (): Promise<string> => (await faultsOf(mission)).join('\n');
    await waitUntil('the agent is seen', async () => (await held()).includes('its agent is archived'));
    expect(await held()).toContain('an operator paused its schedule: "for the migration"');
    expect(await held()).toContain(
      'record: budget: 0 of 0 tokens used in 24 hours, 0 reserved (of agent agent-1)',
    );
    await superuser('insert into mana_ai.schedule_opt_outs (user_id, mission_id) values ($1, $2)', [
      mission.user.userId,
      mission.missionId,
    ]);
    await webApp.update(mission.user, missionAt(mission.missionId), { state: 'done' });
    await waitUntil('all is seen', async () => (await held()).includes('the mission is done'));
    expect(await held()).toContain('its user took it out of the background');
    expect(await held()).toContain('its agent is archived');
  });

  it('a user who was erased', async () => {
    const user = await system.webApp.createUser();
    await superuser('select mana_ai.enter_erased_user($1)', [user.userId]);
    expect(await faultsOf({ user, missionId: randomUUID() })).toEqual([
      'fault user: was erased: nothing of this user is run or comes back',
    ]);
  });

  it.each([
    [{ state: 'paused' }, 'the mission is paused, or in a state that nobody knows'],
    [{ state: 'archived' }, 'the mission is archived'],
    [{ cadence: { kind: 'manual' }, nextRunAt: null }, 'it is manual, or nothing says when'],
  ])('a mission with %j', async (fields, expected) => {
    const mission = await applied(
      await writePlaintextMission(system.webApp, 'objective-fields', { ...daily, ...fields }),
    );
    expect(await faultsOf(mission)).toEqual([`fault schedule: ${expected}`]);
  });

  it('grants: revoked, expired, none where one is needed, and inputs that it does not name', async () => {
    const mission = await applied(
      await writeGrantedMission(system, 'objective-grants', {
        inputs: [{ module: 'notes', table: 'notes', id: 'not-named' }],
      }),
    );
    expect((await explained(mission)).join('\n')).toContain(
      'record: inputs: 1 of 1 are not named by the grant',
    );
    const set = (change: string) =>
      superuser(`update mana_ai.mission_grants set ${change} where user_id = $1`, [mission.user.userId]);
    await set(`issued_at = now() - interval '9 days', expires_at = now() - interval '1 day'`);
    expect((await faultsOf(mission)).join()).toContain('fault grant: expired (2 records');
    await set('revoked_at = now()');
    expect((await faultsOf(mission)).join()).toContain('fault grant: revoked (2 records');
    await system.webApp.update(mission.user, missionAt(mission.missionId), { grant: null });
    expect((await faultsOf(mission)).join()).toContain(
      'grant in the record: none; its own fields are encrypted',
    );
    await (await startOpenly(system.client, mission)).result();
    const lines = await waitUntil('the run is listed', async () => {
      const found = await explained(mission);
      return found.some((line) => line.includes('grant-absent')) && found;
    });
    expect(lines.join('\n')).toMatch(/^warning last runs: .*Z failed \(grant-absent\), run [\da-f-]{36}$/m);
  });

  it('a schedule that is missing, pending or one too many; an outcome put aside; a hold of a run that has ended', async () => {
    const mission = await applied(await writePlaintextMission(system.webApp, 'objective-schedules', daily));
    const key = [mission.user.userId, mission.missionId];
    const found = async (): Promise<string> => (await explained(mission)).join('\n');
    await system.client.schedule
      .getHandle(missionScheduleId(mission.user.userId, mission.missionId))
      .delete();
    expect(await found()).toContain('fault schedule: its schedule is missing in Temporal');
    await superuser(
      `update mana_ai.mission_snapshots set version = version + 1, updated_at = clock_timestamp() + interval '10 seconds'
       where user_id = $1 and mission_id = $2`,
      key,
    );
    expect(await found()).toContain('warning schedule: its schedule is pending');
    await superuser(
      `insert into mana_ai.missions_put_aside (user_id, mission_id, put_aside_at) values ($1, $2, now() + interval '30 days')`,
      key,
    );
    await superuser(
      `insert into mana_ai.run_slots (user_id, mission_id, workflow_id, run_id, iteration_id)
       values ($1, $2, 'gone', $3, '')`,
      [...key, randomUUID()],
    );
    expect(await found()).toContain('fault schedule: put aside: three workers died');
    expect(await found()).toMatch(/warning schedule: held by run [\da-f-]{36}, which has ended/);
    await superuser(
      `insert into mana_ai.mission_snapshots (user_id, mission_id, exists_now, applied_version, version, applied_schedule)
       select $1, 'other-' || n, false, 1, 1, '{}' from generate_series(1, 500) n`,
      [mission.user.userId],
    );
    await superuser(
      `update mana_ai.mission_snapshots set applied_schedule = null where user_id = $1 and mission_id = $2`,
      key,
    );
    expect(await found()).toContain('fault schedule: its user has as many schedules as one may have');
    await superuser('delete from mana_ai.mission_snapshots where user_id = $1', [mission.user.userId]);
    expect(await found()).toContain('fault schedule: the projection has never seen a row of it');
  });
});

describe('yarn missions runs and sweep', () => {
  const lines = (stdout: string) =>
    stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);

  it('lists open and ended runs by user, outcome and code, and a busy mission; a sweep is counted', async () => {
    const { webApp, client } = system;
    const busy = await applied(await writePlaintextMission(webApp, HELD, daily));
    const open = await startOpenly(client, busy);
    expect((await explained(busy)).join('\n')).toContain(
      `ok schedule: busy: run ${open.firstExecutionRunId} is open`,
    );
    const failing = await writeGrantedMission(system, 'objective-fails', { grant: null });
    const failed = await startOpenly(client, failing);
    await failed.result();
    const { code, stdout } = await waitUntil('visibility shows them', async () => {
      const listed = await runMissions(
        ['runs', '--json', '--code', 'grant-absent', '--user', failing.user.userId],
        operator,
      );
      return listed.stdout.includes(failed.firstExecutionRunId) && listed;
    });
    expect(code).toBe(0);
    expect(lines(stdout)).toMatchObject([
      { outcome: 'failed', failureCode: 'grant-absent', missionId: failing.missionId, state: 'completed' },
    ]);
    const listed = await listAllRuns(
      client,
      { userId: null, missionId: null, outcome: null, isOpen: true },
      10,
    );
    expect(listed).toMatchObject([
      { runId: open.firstExecutionRunId, userId: busy.user.userId, state: 'running' },
    ]);

    await open.terminate('by the test');
    await superuser(`update mana_ai.run_slots set claimed_at = now() - interval '1 hour' where run_id = $1`, [
      open.firstExecutionRunId,
    ]);
    const swept = await runMissions(['sweep', '--json'], operator);
    expect({ code: swept.code, stderr: swept.stderr }).toEqual({ code: 0, stderr: '' });
    expect(lines(swept.stdout)[0]?.['swept']).toBeGreaterThanOrEqual(1);
    expect(
      await superuser('select from mana_ai.run_slots where run_id = $1', [open.firstExecutionRunId]),
    ).toEqual([]);
  });
});

describe('yarn missions stop-all and resume-all', () => {
  const iterationsOf = async ({
    user,
    missionId,
  }: WrittenMission): Promise<Readonly<Record<string, unknown>>[]> => {
    const record = await system.webApp.read(user, missionAt(missionId));
    return record?.record['iterations'] as Readonly<Record<string, unknown>>[];
  };
  const runsOf = ({ missionId }: WrittenMission) =>
    listAllRuns(system.client, { userId: null, missionId, outcome: null, isOpen: false }, 10);
  /** Its instant has passed: the projection starts it as soon as it has seen it. */
  const passed = () => ({ ...daily, nextRunAt: formatInstant(Date.now() - 2_000) });

  it('nothing is planned while it lasts, also what is written later; then each that is due runs once', async () => {
    const { webApp, client } = system;
    const busy = await applied(await writePlaintextMission(webApp, HELD, daily));
    const open = await startOpenly(client, busy);
    const stopped = await runMissions(['stop-all', '--json'], operator);
    expect({ code: stopped.code, stderr: stopped.stderr }).toEqual({ code: 0, stderr: '' });
    const { stoppedAt } = JSON.parse(stopped.stdout) as { readonly stoppedAt: string };

    const later = await applied(await writePlaintextMission(webApp, 'objective-later', passed()));
    const asked = await startOpenly(client, later, 'projection');
    expect(await asked.result()).toMatchObject({ outcome: 'paused', rounds: 0 });
    expect((await webApp.rows(later.user, missionAt(later.missionId))).length).toBe(1);
    // The projection looks at it as at every mission whose instant has passed, and starts none.
    expect((await runProjectionPass(client)).started).toBe(0);
    expect(await faultsOf(later)).toEqual([
      'fault schedule: an operator stopped the planning of all missions',
    ]);
    for (const role of ['runner', 'projection', 'api', 'maintenance'] as const) {
      const database = openDatabase({ url: ofRole(role), applicationName: 'ready-test', maxConnections: 1 });
      expect(await checkPlanning(database.system)).toBe(`ok, stopped by an operator since ${stoppedAt}`);
      await database.close();
    }
    const seen = await databaseFindings(envOf('runner'), 'runner');
    expect(withStatus(seen, 'warning')).toEqual([`planning: stopped by an operator since ${stoppedAt}`]);

    // What was open goes on until it is cancelled; stopping again changes nothing.
    expect((await open.describe()).status.name).toBe('RUNNING');
    await waitUntil('visibility shows it', async () => (await runsOf(busy)).length === 1);
    const cancelled = await runMissions(['stop-all', '--cancel-runs', '--json'], operator);
    expect(
      cancelled.stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as object),
    ).toEqual([{ stoppedAt }, { cancelled: 1, open: 0 }]);
    expect(await open.result()).toMatchObject({ outcome: 'cancelled' });

    const resumed = await runMissions(['resume-all', '--json'], operator);
    expect(
      resumed.stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as object),
    ).toEqual([{ stoppedAt }, { started: 1 }]);
    await waitUntil('it has run', async () => {
      const [iteration] = await iterationsOf(later);
      return iteration?.['overallStatus'] === 'awaiting-review';
    });
    expect(await iterationsOf(later)).toHaveLength(1);
    await waitUntil(
      'its runs are listed',
      async () => (await runsOf(later)).filter(({ outcome }) => outcome === 'planned').length === 1,
    );
    expect(await faultsOf(later)).toEqual([]);
    expect((await runMissions(['resume-all'], operator)).stdout).toContain('planning was not stopped');
  });
});

describe('yarn missions keys rotate', () => {
  it('grant: counts what can still be used under the key before, of all users, and says when it ends', async () => {
    const renewed = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const pem = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString();
    const env = {
      ...operator,
      MANA_AI_PUBLIC_KEY_PEM: renewed.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
      MANA_AI_PRIVATE_KEY_PEM: `${pem(system.keys.privateKey)}${pem(renewed.privateKey)}`,
    };
    await writeGrantedMission(system, 'objective-rotated');
    const said = async () => {
      const { stdout } = await runMissions(['keys', 'rotate', 'grant'], env);
      return stdout;
    };
    const before = await said();
    expect(before).toMatch(/^done +1\. the runner opens both: the runner opens [\da-f]{16}, [\da-f]{16}$/m);
    expect(before).toMatch(/^done +2\. the API mints under the new one: /m);
    expect(before).toMatch(
      /^next +3\. no live grant under the old one: \d+ grants under [\da-f]{16} can be used until \d{4}-/m,
    );
    await superuser('update mana_ai.mission_grants set revoked_at = now() where revoked_at is null');
    expect(await said()).toMatch(/^done +3\. no live grant under the old one: /m);
  });

  it('service: asks the gateway; kek and an unknown key say what can be done', async () => {
    const service = await runMissions(['keys', 'rotate', 'service'], operator);
    expect(service.stdout).toMatch(
      /^maybe +2\. .*the runner’s key is among the API’s; the gateway accepts it -> /m,
    );
    const wrong = await runMissions(['keys', 'rotate', 'kekk'], operator);
    expect({ code: wrong.code, stderr: wrong.stderr }).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('Allowed choices are codec, grant, kek, service') as string,
    });
  });
});

/** A run as the user's "run now" starts it: with the search attributes by which runs are found. */
async function startOpenly(
  client: Client,
  { user, missionId }: WrittenMission,
  trigger: RunTrigger = 'run-now',
) {
  const run = { userId: user.userId, missionId, agentId: null };
  const handle = await client.workflow.start<(input: MissionRunInput) => Promise<unknown>>(
    MISSION_RUN_WORKFLOW_TYPE,
    {
      workflowId: `now:${missionId}`,
      taskQueue: RUNNER_TASK_QUEUE,
      args: [{ userId: run.userId, missionId, trigger }],
      typedSearchAttributes: runSearchAttributes(run, trigger),
    },
  );
  await waitUntil(
    'it has claimed its mission',
    async () =>
      (await superuser('select from mana_ai.run_slots where run_id = $1', [handle.firstExecutionRunId]))
        .length > 0 || (await handle.describe()).status.name !== 'RUNNING',
  );
  return handle;
}

describe('yarn missions doctor', () => {
  it('finds nothing wrong with a service that is well, in an operator’s environment', async () => {
    const { code, stdout, stderr } = await runMissions(['doctor', '--json'], operator);
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Finding);
    expect(withStatus(lines, 'fault')).toEqual([]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(withStatus(lines, 'warning')).toEqual([expect.stringContaining('trust zones: MANA_AUTH_KEK and')]);
    expect(withStatus(lines, 'unchecked')).toEqual([
      expect.stringContaining('fairness'),
      expect.stringContaining('schedule start rate'),
    ]);
    // No value of a secret, and no password.
    const secrets = [
      system.keys.kek.toString('base64'),
      SERVICE_KEY,
      ...Object.values(operator).flatMap((value) => (URL.canParse(value) ? new URL(value).password : [])),
      ...[...system.keys.codecKeys.keys.values()].map((key) => key.toString('base64')),
    ].filter((secret) => secret !== '');
    expect(secrets.length).toBeGreaterThan(5);
    for (const secret of secrets) expect(stdout).not.toContain(secret);
  });

  it('in the environment of one process it judges that one, and says what it cannot see', async () => {
    const found = await findings(envOf('vault'), 'vault');
    expect(withStatus(found, 'fault')).toEqual([]);
    expect(withStatus(found, 'unchecked').join('\n')).toMatch(
      /grant keys: .*\nservice keys: .*\ndatabase of maintenance: .*\n(.*\n)*gateway: the runner cannot be judged here/,
    );
    for (const role of ['api', 'runner', 'projection'] as const)
      expect(configsOf(envOf(role), role)).toHaveLength(1);
  });

  it('names variables of the service before', () => {
    const [judged] = judgeProcesses({ ...envOf('projection'), TICK_INTERVAL_MS: '60000' }, ['projection']);
    expect(judged?.judgements).toMatchObject([
      { status: 'warning', found: expect.stringMatching(/^TICK_INTERVAL_MS is a variable/) as string },
    ]);
  });

  it('finds keys that do not fit each other', async () => {
    const other = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey;
    const keysOf = async (change: Env): Promise<string> => {
      const found = await made(keyChecks(configsOf({ ...operator, ...change })));
      return [...withStatus(found, 'fault'), ...withStatus(found, 'warning')].join();
    };
    const PEM = other.export({ type: 'spki', format: 'pem' }).toString();
    expect(await keysOf({ MANA_AI_PUBLIC_KEY_PEM: PEM })).toMatch(
      /^grant keys: the API mints under [\da-f]{16}, which the runner cannot open: it has [\da-f]{16}$/,
    );
    const hash = createHash('sha256').update('another').digest('hex');
    expect(await keysOf({ MANA_SERVICE_KEY_SHA256: hash })).toContain(
      'service keys: the API takes another key',
    );
    expect(await keysOf({ MANA_AUTH_KEK: '' })).toContain('vault keys: API: no key is set');
    const [api] = configsOf(envOf('api'), 'api');
    const [vault] = configsOf(
      { ...envOf('vault'), MANA_AUTH_KEK: randomBytes(32).toString('base64') },
      'vault',
    );
    const apart = await made(keyChecks([api, vault].filter((config) => config !== undefined)));
    expect(withStatus(apart, 'fault')).toEqual([
      expect.stringContaining('API and vault worker have different keys'),
    ]);
    const TEMPORAL_CODEC_KEYS = `test-1:${randomBytes(32).toString('base64')}`;
    expect(
      withStatus(await temporalFindings({ ...operator, TEMPORAL_CODEC_KEYS }, 'codec keys'), 'fault'),
    ).toEqual([expect.stringMatching(/^codec keys: a schedule under key test-1 does not open/)]);
  });

  it('finds schedules under a codec key that is not the first, or not there', async () => {
    const keys = `new:${randomBytes(32).toString('base64')},${operator['TEMPORAL_CODEC_KEYS'] ?? ''}`;
    const found = await temporalFindings({ ...operator, TEMPORAL_CODEC_KEYS: keys }, 'codec keys');
    expect(withStatus(found, 'warning').join('\n')).toMatch(
      /codec keys: \d+ schedules are under test-1, not under new/,
    );
    const gone = keys.split(',')[0] ?? '';
    const without = withStatus(
      await temporalFindings({ ...operator, TEMPORAL_CODEC_KEYS: gone }, 'codec keys'),
      'fault',
    );
    expect(without).toEqual([expect.stringContaining('under key test-1, which is not among ours (new)')]);
  });

  it('finds users that see too much or too little', async () => {
    const { superuser, asWebApp } = system.databases;
    const faults = withStatus(
      await databaseFindings({
        ...operator,
        MAINTENANCE_DATABASE_URL: operator['SYNC_DATABASE_URL_API'] ?? '',
        SYNC_DATABASE_URL_RUNNER: superuser.syncUrl,
        SYNC_DATABASE_URL_PROJECTION: asWebApp.syncUrl,
        AUTH_DATABASE_URL: asWebApp.authUrl,
        SYNC_DATABASE_URL_VAULT: (operator['SYNC_DATABASE_URL_VAULT'] ?? '').replace(/:[^:@/]+@/, ':wrong@'),
      }),
      'fault',
    );
    expect(faults).toEqual([
      expect.stringMatching(/^database of vault, mana_sync: password authentication failed/),
      expect.stringMatching(/^database of runner, mana_sync: row-level security does not apply/),
      expect.stringMatching(
        /^database of projection, mana_sync: user is not a member of mana_missions_projection/,
      ),
      expect.stringMatching(/^database of api or vault, mana_platform: user is not a member of/),
      expect.stringMatching(/^connection of vault, mana_sync: password authentication failed/),
      expect.stringContaining('database of maintenance: user is not a member'),
    ]);
  });

  const TABLE = 'mana_ai.sealed_inputs';
  it.each<[string, string, string, RegExp]>([
    [
      'a policy that opens a table',
      `create policy everybody on ${TABLE} using (true)`,
      `drop policy everybody on ${TABLE}`,
      /no migration of this version made: policy sealed_inputs.everybody/,
    ],
    [
      'row-level security that is off',
      `alter table ${TABLE} disable row level security`,
      `alter table ${TABLE} enable row level security`,
      /missing, or with other rights: table sealed_inputs/,
    ],
    [
      'a right that is too much',
      'grant select on mana_ai.sealed_inputs to mana_missions_projection',
      'revoke select on mana_ai.sealed_inputs from mana_missions_projection',
      /made: grant on sealed_inputs to mana_missions_projection/,
    ],
    [
      'a right that is missing',
      'revoke insert on mana_ai.run_slots from mana_missions_runner',
      'grant insert on mana_ai.run_slots to mana_missions_runner',
      /missing, or with other rights: grant on run_slots to mana_missions_runner/,
    ],
    [
      'a migration that has not been made',
      'update mana_ai.migrations set id = -id where id = (select max(id) from mana_ai.migrations)',
      'update mana_ai.migrations set id = -id where id < 0',
      /schema is older than this program/,
    ],
  ])('finds %s', (_, plant, takeAway, expected) =>
    planted(plant, takeAway, async () => {
      const faults = withStatus(await databaseFindings(envOf('runner'), 'runner'), 'fault');
      expect(faults).toEqual([expect.stringMatching(expected)]);
    }),
  );

  it('finds rights that mana-auth’s owner has not given', () =>
    planted(
      'revoke select on auth.encryption_vaults from mana_missions_vault',
      'grant select on auth.encryption_vaults to mana_missions_vault',
      async () => {
        const faults = withStatus(await databaseFindings(envOf('vault'), 'vault'), 'fault');
        expect(faults.join('\n')).toContain('grant on encryption_vaults to mana_missions_vault');
      },
      true,
    ));

  it('finds a gateway that refuses the key, is unwell, or is not there; and mana-auth likewise', async () => {
    const judged = async (env: Env): Promise<string[]> =>
      (await made(neighbourChecks(configsOf(env)))).map(({ status, found }) => `${status}: ${found}`);
    expect(
      await judged({
        ...operator,
        MANA_SERVICE_KEY: 'another',
        MANA_AUTH_URL: operator['MANA_LLM_URL'] ?? '',
      }),
    ).toEqual(['fault: answers, and refuses MANA_SERVICE_KEY (401)', 'fault: /api/v1/auth/jwks answers 401']);
    for (const [status, expected] of [
      [503, /^warning: answers with an error/],
      [404, /^ok: answers; it lists no models/],
    ] as const) {
      modelsStatus = status;
      expect((await judged(operator))[0]).toMatch(expected);
    }
    modelsStatus = 200;
    const nobody = `http://127.0.0.1:${await freePort()}`;
    expect((await judged({ ...operator, MANA_LLM_URL: nobody, MANA_AUTH_URL: nobody })).join()).toMatch(
      /fault: nobody answers.*,fault: nobody answers/,
    );
  });

  it('finds what Temporal lacks: server, namespace, workers, schedules of our own, search attributes', async () => {
    const temporalFaults = async (change: Env, ...names: string[]): Promise<string> =>
      withStatus(await temporalFindings({ ...operator, ...change }, ...names), 'fault').join('\n');
    expect(await temporalFaults({ TEMPORAL_ADDRESS: '127.0.0.1:9' })).toContain(
      'no Temporal server answers at 127.0.0.1:9',
    );
    const nowhere = `nowhere-${randomUUID()}`;
    expect(await temporalFaults({ TEMPORAL_NAMESPACE: nowhere })).toContain(
      `namespace ${nowhere} does not exist`,
    );
    // The default namespace has our attributes, and nobody at work.
    const idle = await temporalFaults({ TEMPORAL_NAMESPACE: 'default' });
    for (const queue of ['missions', 'missions-vault', 'missions-projection']) {
      expect(idle).toContain(`task queues: ${queue}: nobody has polled it`);
    }
    expect(idle).toContain(`system schedules: ${SWEEP_SCHEDULE.id}: missing`);
    const connection = await connect({
      address: envOf('api')['TEMPORAL_ADDRESS'] ?? '',
      namespace: system.namespace,
    });
    try {
      await connection.operatorService.removeSearchAttributes({
        namespace: system.namespace,
        searchAttributes: ['ManaOutcome'],
      });
      await waitUntil('the attribute is gone', async () =>
        (await temporalFaults({}, 'search attributes')).includes('search attributes: missing: ManaOutcome'),
      );
    } finally {
      await connection.close();
    }
  });
});

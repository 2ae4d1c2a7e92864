import type { Client } from '@temporalio/client';
import { generateKeyPairSync, randomUUID, type KeyObject } from 'node:crypto';
import { doctorTests } from './operators-doctor.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { explainMission } from '#commands/explain/explain-mission.ts';
import { agentAt, missionAt } from '#dev/web-app.ts';
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
import { runMissions } from '#test/support/operator-commands.ts';
import { waitUntil } from '#test/support/wait-until.ts';
import {
  system,
  HELD,
  operator,
  envOf,
  startOperated,
  stopOperated,
  made,
  superuser,
  databaseFindings,
  withStatus,
} from '#test/support/operated-system.ts';

beforeAll(startOperated);
afterAll(stopOperated);

/** Any of these in what a verb says would be a word of the user. */
const WORDS = ['Plan the holiday', 'Packing list', 'objective-', 'tent, stove', 'Book the train'];

const ofRole = (role: 'projection' | 'api' | 'runner' | 'maintenance'): string =>
  system.databases.urls[role].sync;

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
    expect(await said()).toMatch(/^maybe +3\. no live grant under the old one: every live grant is under /m);
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

doctorTests();

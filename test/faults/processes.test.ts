import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { replyOfTwoRounds, requestsOf, roundOf } from '#test/support/planner-scripts.ts';
import { surroundingsOf } from './surroundings.ts';
import { gate } from '#dev/scripted-gateway.ts';
import { startRun, writeGrantedMission } from '#test/support/granted-mission.ts';
import { startMissionSystem, type MissionSystem } from '#test/support/mission-system.ts';
import { readPaidRounds } from '#test/support/stored-rows.ts';
import { waitUntil } from '#test/support/wait-until.ts';
import {
  environmentOf,
  spawnSystemProcess,
  startSystemProcess,
  type ProcessName,
  type Surroundings,
  type SystemProcess,
} from '#test/support/worker-process.ts';

const HELD = 'OBJECTIVE-HELD-IN-ROUND-ONE';
const held = gate();

let system: MissionSystem;
let around: Surroundings;
beforeAll(async () => {
  system = await startMissionSystem({
    parts: [],
    script: (request) => {
      const reply = replyOfTwoRounds(request);
      return request.bodyText.includes(HELD) && roundOf(request) === 1 ? held.hold(reply) : reply;
    },
  });
  around = await surroundingsOf(system);
});
const processes: SystemProcess[] = [];
const keep = async (starting: Promise<SystemProcess>): Promise<SystemProcess> => {
  const started = await starting;
  processes.push(started);
  return started;
};
afterEach(async () => {
  await Promise.all(processes.splice(0).map((running) => running.stop()));
});
afterAll(() => system.close());

describe.each(['api', 'runner', 'vault', 'projection', 'all'] as const)('process %s', (name) => {
  it('answers GET /health with 200, and SIGTERM ends it with 0', async () => {
    const running = await keep(startSystemProcess(name, around));
    const response = await fetch(`${running.url()}/health`);
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ status: 'ok' });
    expect(await running.stop()).toEqual({ code: 0, signal: null });
  });
});

it.each([
  // What holds a place beside the calls under way has its request ready when one of them ends.
  [60, 120],
  // Research and missions that wait have places, however few calls there may be.
  [2, 100],
])('a runner that may have %i calls under way takes %i activities at once', async (calls, places) => {
  const runner = await keep(startSystemProcess('runner', around, { MANA_LLM_MAX_IN_FLIGHT: String(calls) }));
  const placesOf = (metrics: string): number =>
    ['available', 'used']
      .map((kind) =>
        new RegExp(
          `^temporal_worker_task_slots_${kind}\\{(?=.*worker_type="ActivityWorker").*\\} (\\d+)$`,
          'm',
        ).exec(metrics),
      )
      .reduce((sum, found) => sum + Number(found?.[1] ?? 0), 0);
  const found = await waitUntil('it says so', async () =>
    placesOf(await (await fetch(`${runner.url()}/metrics`)).text()),
  );
  expect(found).toBe(places);
});

describe('SIGTERM with a round in flight', () => {
  it('lets the round end, ends the process with 0, and the next runner goes on after it', async () => {
    const [runner] = await Promise.all([
      keep(startSystemProcess('runner', around)),
      keep(startSystemProcess('vault', around)),
    ]);
    const mission = await writeGrantedMission(system, HELD);
    const run = await startRun(system.client, mission);
    await waitUntil('round 1 is asked', () => requestsOf(system.gateway.requests, HELD, 1).length > 0);
    const stopped = runner.stop(30_000);
    await waitUntil('the runner drains', () => runner.output().includes('"msg":"stopping"'));
    held.open();
    expect(await stopped).toEqual({ code: 0, signal: null });
    expect(await readPaidRounds(system.databases, mission.missionId)).toContain(1);

    await keep(startSystemProcess('runner', around));
    expect((await run.result()).outcome).toBe('planned');
    for (const round of [1, 2]) expect(requestsOf(system.gateway.requests, HELD, round)).toHaveLength(1);
  });
});

type Overrides = Readonly<Record<string, string>>;

/** Runs a process that cannot start: its exit status and the lines that it wrote. */
async function refuse(name: ProcessName, env: Overrides): Promise<{ status: unknown; lines: string[] }> {
  const refused = await keep(spawnSystemProcess(name, around.logDirectory, env));
  const status = await refused.exited;
  return { status, lines: refused.output().trimEnd().split('\n') };
}

const namesIn = (lines: readonly string[]): string[] =>
  lines.map((line) => line.trim().split(':')[0] ?? '').sort();

describe('a process that is given a secret of another zone', () => {
  const secret = randomBytes(32).toString('base64');
  const privateKey = (): string => environmentOf('runner', around)['MANA_AI_PRIVATE_KEY_PEM'] ?? '';
  const foreign: readonly (readonly [ProcessName, () => Overrides])[] = [
    ['runner', () => ({ MANA_AUTH_KEK: secret, SYNC_DATABASE_URL_VAULT: around.databases.urls.vault.sync })],
    ['vault', () => ({ MANA_AI_PRIVATE_KEY_PEM: privateKey(), MANA_SERVICE_KEY: secret })],
    ['projection', () => ({ MANA_AUTH_KEK: secret, MANA_SERVICE_KEY: secret })],
    [
      'api',
      () => ({ MANA_AI_PRIVATE_KEY_PEM: privateKey(), MIGRATE_DATABASE_URL: around.databases.syncOwnerUrl }),
    ],
  ];
  it.each(foreign)('%s ends with 1 and names it without its value', async (name, overrides) => {
    const given = overrides();
    const { status, lines } = await refuse(name, { ...environmentOf(name, around), ...given });
    expect(status).toEqual({ code: 1, signal: null });
    expect(lines[0]).toBe(`the configuration of process "${name}" cannot be used:`);
    expect(namesIn(lines.slice(1))).toEqual(Object.keys(given).sort());
    for (const value of Object.values(given)) {
      const middle = value.slice(value.length / 3, (2 * value.length) / 3);
      expect(lines.join('\n')).not.toContain(middle);
    }
  });
});

describe('a process without its variables', () => {
  const required: readonly (readonly [ProcessName, readonly string[]])[] = [
    ['runner', ['MANA_LLM_URL', 'MANA_SERVICE_KEY', 'SYNC_DATABASE_URL', 'TEMPORAL_CODEC_KEYS']],
    ['vault', ['AUTH_DATABASE_URL', 'SYNC_DATABASE_URL', 'TEMPORAL_CODEC_KEYS']],
    ['projection', ['SYNC_DATABASE_URL', 'TEMPORAL_CODEC_KEYS']],
    ['api', ['AUTH_DATABASE_URL', 'MANA_AUTH_URL', 'SYNC_DATABASE_URL', 'TEMPORAL_CODEC_KEYS']],
  ];
  it.each(required)('%s ends with 1 and names every one of them', async (name, names) => {
    const { status, lines } = await refuse(name, {});
    expect(status).toEqual({ code: 1, signal: null });
    expect(lines[0]).toBe(`the configuration of process "${name}" cannot be used:`);
    expect(namesIn(lines.slice(1))).toEqual(names);
  });

  it('a worker without a role ends with 1 and names the roles', async () => {
    const { status, lines } = await refuse('nobody' as ProcessName, {});
    expect(status).toEqual({ code: 1, signal: null });
    expect(lines).toEqual(['worker role: found nobody, expected one of runner, vault, projection, all']);
  });
});

import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { surroundingsOf } from './surroundings.ts';
import { startRun, writeGrantedMission, writePlaintextMission } from '../support/granted-mission.ts';
import type { WrittenMission } from '../support/granted-mission.ts';
import { startMissionSystem } from '../support/mission-system.ts';
import type { MissionSystem } from '../support/mission-system.ts';
import { replyOfTwoRounds } from '../support/planner-scripts.ts';
import { countLeftovers, NOTHING_LEFT, readWrittenIterations } from '../support/stored-rows.ts';
import { superviseWorker } from '../support/supervised-worker.ts';
import type { SupervisedWorker } from '../support/supervised-worker.ts';
import { startSystemProcess } from '../support/worker-process.ts';
import type { Surroundings } from '../support/worker-process.ts';

let system: MissionSystem;
let around: Surroundings;
beforeAll(async () => {
  system = await startMissionSystem({ parts: [], script: replyOfTwoRounds });
  around = await surroundingsOf(system);
});
const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await Promise.all(stops.splice(0).map((stop) => stop()));
});
afterAll(() => system.close());

async function supervise(
  role: 'runner' | 'vault',
  poison: Readonly<Record<string, string>>,
): Promise<SupervisedWorker> {
  const worker = await superviseWorker(role, around, poison);
  stops.push(() => worker.stop());
  return worker;
}

const outcomesOf = async (missions: readonly WrittenMission[]) => {
  const runs = await Promise.all(missions.map((mission) => startRun(system.client, mission)));
  return Promise.all(runs.map((run) => run.result()));
};

async function expectGivenUp({ missionId }: WrittenMission): Promise<void> {
  const written = await readWrittenIterations(system.databases, missionId);
  expect(written.at(-1)).toMatchObject([
    { overallStatus: 'failed', errorDetails: { name: 'worker-lost', message: /drei|three/i } },
  ]);
  expect(await countLeftovers(system.databases, missionId)).toEqual(NOTHING_LEFT);
}

const WORDS = 'OBJECTIVE-OF-THE-POISON-PILL';
const GIVEN_UP = { outcome: 'failed', failureCode: 'worker-lost' };

describe.each(['loadRun', 'gateway'] as const)('a mission that kills its runner in %s', (stage) => {
  it('is given up after three dead workers, with an iteration that says so; the others run', async () => {
    const pill = await writePlaintextMission(system.webApp, WORDS);
    const victims: WrittenMission[] = [];
    for (let count = 0; count < 8; count += 1)
      victims.push(await writePlaintextMission(system.webApp, `OBJECTIVE-OF-A-VICTIM-${count}`));
    const runner = await supervise('runner', {
      POISON_USER: pill.user.userId,
      POISON_STAGE: stage,
      POISON_WORDS: WORDS,
    });
    const [ofPill, ...ofVictims] = await outcomesOf([pill, ...victims]);
    expect(ofVictims.map(({ outcome }) => outcome)).toEqual(victims.map(() => 'planned'));
    expect(ofPill).toMatchObject(GIVEN_UP);
    expect(runner.deaths()).toBe(3);
    await expectGivenUp(pill);
    expect(readFileSync(runner.logFile, 'utf8')).toContain('"failureType":"WORKER_LOST"');
  });
});

describe('a mission that kills its vault worker', () => {
  it('is given up after three dead workers, with an iteration that says so; the others run', async () => {
    const pill = await writeGrantedMission(system, WORDS);
    const victims = await Promise.all(
      [1, 2, 3].map((n) => writeGrantedMission(system, `OBJECTIVE-OF-A-SEALED-VICTIM-${n}`)),
    );
    const runner = await startSystemProcess('runner', around);
    stops.push(() => runner.stop());
    const vault = await supervise('vault', { POISON_USER: pill.user.userId, POISON_STAGE: 'sealInputs' });
    const [ofPill, ...ofVictims] = await outcomesOf([pill, ...victims]);
    expect(ofVictims.map(({ outcome }) => outcome)).toEqual(victims.map(() => 'planned'));
    expect(ofPill).toMatchObject(GIVEN_UP);
    expect(vault.deaths()).toBe(3);
    await expectGivenUp(pill);
  });
});

describe('a mission that kills its runner when its outcome is to be written', () => {
  it('ends after three dead workers as stuck, where an operator finds it', async () => {
    const pill = await writePlaintextMission(system.webApp, WORDS);
    const runner = await supervise('runner', {
      POISON_USER: pill.user.userId,
      POISON_STAGE: 'writeIteration',
    });
    const run = await startRun(system.client, pill);
    await expect(run.result()).rejects.toMatchObject({
      cause: { type: 'RUN_STUCK', message: 'stuck while finalizing: WORKER_LOST' },
    });
    expect(runner.deaths()).toBe(3);
    const { typedSearchAttributes } = await run.describe();
    expect(JSON.stringify(typedSearchAttributes)).toContain('stuck');
    expect(await countLeftovers(system.databases, pill.missionId)).toEqual(NOTHING_LEFT);
  });
});

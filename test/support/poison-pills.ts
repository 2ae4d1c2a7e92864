import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { surroundingsOf } from '#test/faults/surroundings.ts';
import { startRun, type WrittenMission } from './granted-mission.ts';
import { startMissionSystem, type MissionSystem } from './mission-system.ts';
import { replyOfTwoRounds } from './planner-scripts.ts';
import { countLeftovers, NOTHING_LEFT, readWrittenIterations } from './stored-rows.ts';
import { superviseWorker, type SupervisedWorker } from './supervised-worker.ts';
import type { Surroundings } from './worker-process.ts';

export let system: MissionSystem;
export let around: Surroundings;
/** What is to be stopped after the test. */
export const stops: (() => Promise<unknown>)[] = [];

/** A system without workers, for a test file about missions that end them. */
export function setUpPoisonPills(): void {
  beforeAll(async () => {
    system = await startMissionSystem({ parts: [], script: replyOfTwoRounds });
    around = await surroundingsOf(system);
  });
  afterEach(async () => {
    await Promise.all(stops.splice(0).map((stop) => stop()));
  });
  afterAll(() => system.close());
}

export async function supervise(
  role: 'runner' | 'vault',
  poison: Readonly<Record<string, string>>,
): Promise<SupervisedWorker> {
  const worker = await superviseWorker(role, around, poison);
  stops.push(() => worker.stop());
  return worker;
}

export const outcomesOf = async (missions: readonly WrittenMission[]) => {
  const runs = await Promise.all(missions.map((mission) => startRun(system.client, mission)));
  return Promise.all(runs.map((run) => run.result()));
};

export async function expectGivenUp({ missionId }: WrittenMission): Promise<void> {
  const written = await readWrittenIterations(system.databases, missionId);
  expect(written.at(-1)).toMatchObject([
    { overallStatus: 'failed', errorDetails: { name: 'worker-lost', message: /drei|three/i } },
  ]);
  expect(await countLeftovers(system.databases, missionId)).toEqual(NOTHING_LEFT);
}

export const WORDS = 'OBJECTIVE-OF-THE-POISON-PILL';
export const GIVEN_UP = { outcome: 'failed', failureCode: 'worker-lost' };

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { replyOfTwoRounds, requestsOf, roundOf } from '#test/support/planner-scripts.ts';
import { surroundingsOf } from './surroundings.ts';
import { hang } from '#dev/scripted-gateway.ts';
import type { MissionRunResult } from '#domain/run/run.ts';
import { startRun, writeGrantedMission, type WrittenMission } from '#test/support/granted-mission.ts';
import { startMissionSystem, type MissionSystem } from '#test/support/mission-system.ts';
import {
  countLeftovers,
  NOTHING_LEFT,
  readAudit,
  readPaidRounds,
  readWrittenIterations,
} from '#test/support/stored-rows.ts';
import { startSystemProcess, type SystemProcess } from '#test/support/worker-process.ts';

const OBJECTIVES = { 1: 'OBJECTIVE-KILLED-IN-ROUND-ONE', 2: 'OBJECTIVE-KILLED-IN-ROUND-TWO' } as const;

let system: MissionSystem;
const processes: SystemProcess[] = [];
const missions: Partial<Record<1 | 2, WrittenMission>> = {};
const results: Partial<Record<1 | 2, MissionRunResult>> = {};

// Two runs share one killed process: recovery takes a heartbeat timeout, and one is enough for both.
beforeAll(async () => {
  const alreadyHung = new Set<string>();
  system = await startMissionSystem({
    parts: [],
    script: (request) => {
      const round = roundOf(request);
      const objective = OBJECTIVES[round === 1 ? 1 : 2];
      if (!request.bodyText.includes(objective) || alreadyHung.has(objective))
        return replyOfTwoRounds(request);
      alreadyHung.add(objective);
      return hang();
    },
  });
  const around = await surroundingsOf(system);
  processes.push(
    ...(await Promise.all([startSystemProcess('vault', around), startSystemProcess('runner', around)])),
  );
  const [inRoundOne, inRoundTwo] = await Promise.all([
    writeGrantedMission(system, OBJECTIVES[1]),
    writeGrantedMission(system, OBJECTIVES[2]),
  ]);
  Object.assign(missions, { 1: inRoundOne, 2: inRoundTwo });
  const runs = [await startRun(system.client, inRoundOne), await startRun(system.client, inRoundTwo)];
  await system.gateway.waitForHanging(2);
  await processes[1]?.kill9();
  processes.push(await startSystemProcess('runner', around));
  const [one, two] = await Promise.all(runs.map((run) => run.result()));
  Object.assign(results, { 1: one, 2: two });
}, 120_000);

afterAll(async () => {
  await Promise.all(processes.map((running) => running.stop()));
  await system.close();
});

describe.each([1, 2] as const)('a runner killed with -9 in the middle of round %i', (killedRound) => {
  const mission = (): WrittenMission => missions[killedRound] ?? expect.fail('the mission was not written');

  it('leaves exactly one iteration, with the whole plan', async () => {
    expect(results[killedRound]).toEqual({
      outcome: 'planned',
      rounds: 2,
      steps: 1,
      totalTokens: 240,
      failureCode: null,
    });
    const written = await readWrittenIterations(system.databases, mission().missionId);
    expect(written.map((iterations) => iterations.length)).toEqual([1]);
  });

  it('asks at most one round again, with the same bytes under the same idempotency key', () => {
    for (const round of [1, 2]) {
      const asked = requestsOf(system.gateway.requests, OBJECTIVES[killedRound], round);
      expect(asked).toHaveLength(round === killedRound ? 2 : 1);
      const keys = new Set(asked.map((request) => request.idempotencyKey));
      expect(keys.size).toBe(1);
      expect(keys).not.toContain(null);
      expect(new Set(asked.map((request) => request.bodyText)).size).toBe(1);
    }
  });

  it('counts the tokens of each round once', async () => {
    expect(await readPaidRounds(system.databases, mission().missionId)).toEqual([1, 2]);
  });

  it('audits each decrypted record once', async () => {
    expect(await readAudit(system.databases, mission().missionId)).toEqual(['aiMissions ok', 'notes ok']);
  });

  it('leaves nothing of the run behind', async () => {
    expect(await countLeftovers(system.databases, mission().missionId)).toEqual(NOTHING_LEFT);
  });
});

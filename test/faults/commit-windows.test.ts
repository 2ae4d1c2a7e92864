import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startCommitHolder, type CommitHolder } from './commit-holder.ts';
import { whileLocked } from '#test/support/held-lock.ts';
import { replyOfTwoRounds, requestsOf } from '#test/support/planner-scripts.ts';
import { surroundingsOf } from './surroundings.ts';
import { startRun, writeGrantedMission } from '#test/support/granted-mission.ts';
import { startMissionSystem, type MissionSystem } from '#test/support/mission-system.ts';
import {
  countLeftovers,
  NOTHING_LEFT,
  readAudit,
  readPaidRounds,
  readWrittenIterations,
} from '#test/support/stored-rows.ts';
import {
  startSystemProcess,
  type ProcessName,
  type Surroundings,
  type SystemProcess,
} from '#test/support/worker-process.ts';

let system: MissionSystem;
let around: Surroundings;
beforeAll(async () => {
  system = await startMissionSystem({ parts: [], script: replyOfTwoRounds });
  around = await surroundingsOf(system);
});

const processes: SystemProcess[] = [];
const holders: CommitHolder[] = [];
const start = async (name: ProcessName, overrides = {}): Promise<SystemProcess> => {
  const started = await startSystemProcess(name, around, overrides);
  processes.push(started);
  return started;
};
const holdCommit = async (url: string, statement: string): Promise<CommitHolder> => {
  const holder = await startCommitHolder(url, statement);
  holders.push(holder);
  return holder;
};

afterEach(async () => {
  await Promise.all(processes.splice(0).map((running) => running.stop()));
  await Promise.all(holders.splice(0).map((holder) => holder.close()));
});
afterAll(() => system.close());

describe('a vault worker killed with -9', () => {
  it('while it seals and after it has sealed audits each record once, and the runs go on', async () => {
    const holder = await holdCommit(around.databases.urls.vault.sync, 'insert into mana_ai.decrypt_audit');
    const [vault] = await Promise.all([start('vault', { SYNC_DATABASE_URL: holder.url }), start('runner')]);
    const before = await writeGrantedMission(system, 'OBJECTIVE-VAULT-KILLED-BEFORE-COMMIT');
    const after = await writeGrantedMission(system, 'OBJECTIVE-VAULT-KILLED-AFTER-COMMIT');
    const runs = [await startRun(system.client, before)];
    await whileLocked(around.databases, before, async (untilAwaited) => {
      await untilAwaited();
      runs.push(await startRun(system.client, after));
      await holder.held;
      await vault.kill9();
    });
    expect(await readAudit(system.databases, after.missionId)).toHaveLength(2);

    await start('vault');
    for (const run of runs) expect((await run.result()).outcome).toBe('planned');
    for (const { missionId } of [before, after]) {
      expect(await readAudit(system.databases, missionId)).toEqual(['aiMissions ok', 'notes ok']);
      expect(await countLeftovers(system.databases, missionId)).toEqual(NOTHING_LEFT);
    }
  });
});

describe('a runner killed with -9', () => {
  it('between the commit of the iteration and its acknowledgement leaves exactly one iteration', async () => {
    const objective = 'OBJECTIVE-RUNNER-KILLED-AFTER-COMMIT';
    // The claim is a row of the same statement; what differs is what is written.
    const holder = await holdCommit(around.databases.urls.runner.sync, '"overallStatus":"awaiting-review"');
    const [runner] = await Promise.all([start('runner', { SYNC_DATABASE_URL: holder.url }), start('vault')]);
    const mission = await writeGrantedMission(system, objective);
    const run = await startRun(system.client, mission);
    await holder.held;
    await runner.kill9();
    expect(await readWrittenIterations(system.databases, mission.missionId)).toHaveLength(1);

    await start('runner');
    expect(await run.result()).toMatchObject({ outcome: 'planned', rounds: 2, steps: 1, failureCode: null });
    const written = await readWrittenIterations(system.databases, mission.missionId);
    expect(written.map((iterations) => iterations.length)).toEqual([1]);
    for (const round of [1, 2]) expect(requestsOf(system.gateway.requests, objective, round)).toHaveLength(1);
    expect(await readPaidRounds(system.databases, mission.missionId)).toEqual([1, 2]);
    expect(await countLeftovers(system.databases, mission.missionId)).toEqual(NOTHING_LEFT);
  });
});

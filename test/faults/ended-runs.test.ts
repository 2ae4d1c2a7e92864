import { WorkflowFailedError } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { whileSealingWaits } from '#test/support/held-lock.ts';
import { replyOfTwoRounds, requestsOf, roundOf } from '#test/support/planner-scripts.ts';
import { withClient } from '#dev/platform-schema.ts';
import { gate, hang, type Gate } from '#dev/scripted-gateway.ts';
import type { MissionRunResult } from '#domain/run/run.ts';
import { cancelRunSignal, RUNNER_TASK_QUEUE, SWEEP_RUNS_WORKFLOW_TYPE } from '#temporal/messages.ts';
import {
  startRun,
  untilCancelRequested,
  writeGrantedMission,
  writePlaintextMission,
} from '#test/support/granted-mission.ts';
import { startMissionSystem, type MissionSystem } from '#test/support/mission-system.ts';
import {
  countLeftovers,
  NOTHING_LEFT,
  readPaidRounds,
  readWrittenIterations,
} from '#test/support/stored-rows.ts';
import { waitUntil } from '#test/support/wait-until.ts';

/** Objectives of missions whose round 2 is not answered at once: never, or when the gate is opened. */
const hanging = new Set<string>();
const gated = new Map<string, Gate>();

let system: MissionSystem;
beforeAll(async () => {
  system = await startMissionSystem({
    parts: ['runner', 'vault'],
    script: (request) => {
      const isOf = (objective: string): boolean => request.bodyText.includes(objective);
      if (roundOf(request) === 2 && [...hanging].some(isOf)) return hang();
      const held = [...gated].find(([objective]) => isOf(objective))?.[1];
      return roundOf(request) === 2 && held !== undefined
        ? held.hold(replyOfTwoRounds(request))
        : replyOfTwoRounds(request);
    },
  });
});
afterAll(() => system.close());

const untilAsked = (objective: string, round: number): Promise<unknown> =>
  waitUntil(
    `round ${round} is asked`,
    () => requestsOf(system.gateway.requests, objective, round).length > 0,
  );

const sweep = (): Promise<{ swept: number }> =>
  system.client.workflow.execute<() => Promise<{ swept: number }>>(SWEEP_RUNS_WORKFLOW_TYPE, {
    workflowId: 'sweep',
    taskQueue: RUNNER_TASK_QUEUE,
    args: [],
  });

/** As if it had been claimed so long ago that the sweep looks at it. */
const ageSlot = (missionId: string): Promise<void> =>
  withClient(system.databases.superuser.syncUrl, async (client) => {
    await client.query(
      `update mana_ai.run_slots set claimed_at = claimed_at - interval '11 minutes' where mission_id = $1`,
      [missionId],
    );
  });

describe('a run terminated in the middle of a round', () => {
  it('is taken over by the next run of the mission, which repeats no paid round and forgets for both', async () => {
    const objective = 'OBJECTIVE-TERMINATED-THEN-RUN-AGAIN';
    hanging.add(objective);
    const mission = await writeGrantedMission(system, objective);
    const dead = await startRun(system.client, mission);
    await untilAsked(objective, 2);
    await dead.terminate();
    expect(await countLeftovers(system.databases, mission.missionId)).toEqual({
      ...NOTHING_LEFT,
      sealed_inputs: 2,
      run_grants: 1,
      model_calls: 2,
      run_slots: 1,
    });

    hanging.delete(objective);
    const next = await startRun(system.client, mission);
    expect((await next.result()).outcome).toBe('planned');
    expect(requestsOf(system.gateway.requests, objective, 1)).toHaveLength(1);
    expect(requestsOf(system.gateway.requests, objective, 2)).toHaveLength(2);
    const written = await readWrittenIterations(system.databases, mission.missionId);
    expect(written.map((iterations) => iterations.length)).toEqual([1]);
    expect(await countLeftovers(system.databases, mission.missionId)).toEqual(NOTHING_LEFT);
  });

  it('is swept when its mission never runs again, and a run that is still open is not', async () => {
    const [deadObjective, openObjective] = ['OBJECTIVE-TERMINATED-FOR-GOOD', 'OBJECTIVE-STILL-OPEN'];
    hanging.add(deadObjective).add(openObjective);
    const deadMission = await writePlaintextMission(system.webApp, deadObjective);
    const openMission = await writePlaintextMission(system.webApp, openObjective);
    const [dead, open] = [
      await startRun(system.client, deadMission),
      await startRun(system.client, openMission),
    ];
    await Promise.all([untilAsked(deadObjective, 2), untilAsked(openObjective, 2)]);
    await dead.terminate();
    expect(await sweep()).toEqual({ swept: 0 });

    await Promise.all([ageSlot(deadMission.missionId), ageSlot(openMission.missionId)]);
    expect(await sweep()).toEqual({ swept: 1 });
    expect(await countLeftovers(system.databases, deadMission.missionId)).toEqual(NOTHING_LEFT);
    expect(await countLeftovers(system.databases, openMission.missionId)).toMatchObject({ run_slots: 1 });
    await open.signal(cancelRunSignal);
    expect((await open.result()).outcome).toBe('cancelled');
  });
});

describe('a reply that arrives when its run is over', () => {
  it.each(['cancelled', 'terminated and taken over'] as const)(
    'is paid for and kept nowhere: run %s',
    async (ending) => {
      const objective = `OBJECTIVE-LATE-REPLY-${ending}`;
      const late = gate();
      gated.set(objective, late);
      const mission = await writeGrantedMission(system, objective);
      const run = await startRun(system.client, mission);
      await untilAsked(objective, 2);
      gated.delete(objective);
      if (ending === 'cancelled') {
        await run.signal(cancelRunSignal);
        expect((await run.result()).outcome).toBe('cancelled');
        late.open();
      } else {
        await run.terminate();
        const next = await startRun(system.client, mission);
        expect((await next.result()).outcome).toBe('planned');
        late.open();
      }
      await waitUntil('the round is counted', async () =>
        (await readPaidRounds(system.databases, mission.missionId)).includes(2),
      );
      expect(await countLeftovers(system.databases, mission.missionId)).toEqual(NOTHING_LEFT);
    },
  );
});

describe('a run cancelled while its records are sealed', () => {
  it('waits until sealing has ended, asks nothing and leaves nothing behind', async () => {
    const objective = 'OBJECTIVE-CANCELLED-WHILE-SEALING';
    const mission = await writeGrantedMission(system, objective);
    await whileSealingWaits(system.databases, mission, async (untilAwaited) => {
      const run = await startRun(system.client, mission);
      await untilAwaited();
      await run.signal(cancelRunSignal);
      await untilCancelRequested(run);
    });
    const run = system.client.workflow.getHandle<() => Promise<MissionRunResult>>(
      `run-now:${mission.missionId}`,
    );
    expect((await run.result()).outcome).toBe('cancelled');
    expect(requestsOf(system.gateway.requests, objective, 1)).toEqual([]);
    expect(await countLeftovers(system.databases, mission.missionId)).toEqual(NOTHING_LEFT);
  });
});

/** The server writes of an activity that no worker has taken by itself, and knows no codec key. */
describe('a run cancelled while no vault worker has taken its records', () => {
  let withoutVault: MissionSystem;
  beforeAll(async () => {
    withoutVault = await startMissionSystem({ parts: ['runner'], script: replyOfTwoRounds });
  });
  afterAll(() => withoutVault.close());

  it.each(['its user', 'an operator'] as const)(
    'by %s ends, says so and leaves nothing behind',
    async (who) => {
      const mission = await writeGrantedMission(withoutVault, `OBJECTIVE-NOT-TAKEN-${who}`);
      const run = await startRun(withoutVault.client, mission);
      await waitUntil('its records wait for a vault worker', async () => {
        const { pendingActivities } = (await run.describe()).raw;
        return pendingActivities?.some(({ activityType }) => activityType?.name === 'sealInputs') === true;
      });
      if (who === 'its user') {
        await run.signal(cancelRunSignal);
        expect((await run.result()).outcome).toBe('cancelled');
      } else {
        await run.cancel();
        await expect(run.result()).rejects.toThrow(WorkflowFailedError);
      }
      const [iterations] = await readWrittenIterations(withoutVault.databases, mission.missionId);
      expect(iterations).toMatchObject([
        { overallStatus: 'failed', errorDetails: { name: 'run-cancelled' } },
      ]);
      expect(await countLeftovers(withoutVault.databases, mission.missionId)).toEqual(NOTHING_LEFT);
    },
  );
});

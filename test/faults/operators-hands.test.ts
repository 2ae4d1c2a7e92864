import { Client } from '@temporalio/client';
import { optionalTsToMs } from '@temporalio/common/lib/time.js';
import proto from '@temporalio/proto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { gate, type Gate } from '#dev/scripted-gateway.ts';
import { missionScheduleId } from '#schedules/schedule-ids.ts';
import {
  startRun,
  writeGrantedMission,
  writePlaintextMission,
  type RunHandle,
} from '#test/support/granted-mission.ts';
import { startMissionSystem, type MissionSystem } from '#test/support/mission-system.ts';
import { replyOfTwoRounds, requestsOf, roundOf } from '#test/support/planner-scripts.ts';
import {
  countLeftovers,
  NOTHING_LEFT,
  readPaidRounds,
  readWrittenIterations,
} from '#test/support/stored-rows.ts';
import { waitUntil } from '#test/support/wait-until.ts';

/** What operators do to runs, schedules and the service's own workflows in Temporal's UI, or with its CLI. */

/** Objectives of missions whose first round is answered when the gate is opened. */
const held = new Map<string, Gate>();

let system: MissionSystem;
beforeAll(async () => {
  system = await startMissionSystem({
    script: (request) => {
      const mine = [...held].find(([objective]) => request.bodyText.includes(objective))?.[1];
      const reply = replyOfTwoRounds(request);
      return mine !== undefined && roundOf(request) === 1 ? mine.hold(reply) : reply;
    },
  });
});
afterAll(() => system.close());

const HOUR_MS = 3_600_000;
const { PENDING_ACTIVITY_STATE_PAUSED: PAUSED } = proto.temporal.api.enums.v1.PendingActivityState;

/** A run whose first round is under way until `answer` is called. */
async function runInFirstRound(objective: string) {
  const gateOfRound = gate();
  held.set(objective, gateOfRound);
  const mission = await writeGrantedMission(system, objective);
  const run = await startRun(system.client, mission);
  const asked = (round: number): number => requestsOf(system.gateway.requests, objective, round).length;
  await waitUntil('the first round is asked', () => asked(1) === 1);
  const answer = (): void => {
    held.delete(objective);
    gateOfRound.open();
  };
  return { mission, run, asked, answer };
}

async function pendingRound(run: RunHandle) {
  const { pendingActivities } = (await run.describe()).raw;
  const [round] = pendingActivities ?? [];
  if (round === undefined) throw new Error('no activity is pending');
  const { namespace } = system;
  const of = { namespace, execution: { workflowId: run.workflowId }, id: round.activityId ?? '' };
  return { round, of };
}

/** As the CLI writes. */
const plaintextClient = (): Client =>
  new Client({ connection: system.client.connection, namespace: system.namespace });

describe('a round', () => {
  it.concurrent(
    'that is paused under way is answered once, and the run waits for the end of the pause',
    async () => {
      const { mission, run, asked, answer } = await runInFirstRound('OBJECTIVE-PAUSED');
      const { workflowService } = system.client;
      const { of } = await pendingRound(run);
      const pausedAtMs = Date.now();
      await workflowService.pauseActivity(of);
      await waitUntil('its worker has heard of it', async () => {
        const { lastHeartbeatTime } = (await pendingRound(run)).round;
        return (optionalTsToMs(lastHeartbeatTime) ?? 0) > pausedAtMs;
      });
      answer();
      const { round } = await waitUntil('it waits', async () => {
        const pending = await pendingRound(run);
        return pending.round.state === PAUSED && pending;
      });
      expect(round.lastFailure?.applicationFailureInfo?.type).toBe('PAUSED');
      expect([asked(1), asked(2)]).toEqual([1, 0]);

      await workflowService.unpauseActivity(of);
      expect(await run.result()).toMatchObject({ outcome: 'planned' });
      expect([asked(1), asked(2)]).toEqual([1, 1]);
      expect(await readPaidRounds(system.databases, mission.missionId)).toEqual([1, 2]);
      expect(await countLeftovers(system.databases, mission.missionId)).toEqual(NOTHING_LEFT);
    },
  );
});

describe('a run that cannot go on for a payload in plaintext', () => {
  it.concurrent.each([
    [
      'a signal',
      (run: RunHandle) =>
        plaintextClient().workflow.getHandle(run.workflowId).signal('of no name that we know', 'a reason'),
    ],
    [
      'a result',
      async (run: RunHandle) => {
        const { of } = await pendingRound(run);
        const { execution, id } = of;
        await plaintextClient().activity.complete({ workflowId: execution.workflowId, activityId: id }, {});
      },
    ],
  ] as const)('%s, goes on when it is reset to its first task', async (what, write) => {
    const { mission, run, asked, answer } = await runInFirstRound(`OBJECTIVE-PLAINTEXT-${what}`);
    await write(run);
    answer();
    await waitUntil('it stands still', async () => {
      const { raw } = await run.describe();
      return (raw.pendingWorkflowTask?.attempt ?? 0) > 1;
    });
    await waitUntil('its reply is kept', async () =>
      (await readPaidRounds(system.databases, mission.missionId)).includes(1),
    );
    const { events } = await run.fetchHistory();
    const first = events?.find((event) => (event.workflowTaskCompletedEventAttributes ?? null) !== null);
    await system.client.workflowService.resetWorkflowExecution({
      namespace: system.namespace,
      workflowExecution: { workflowId: run.workflowId },
      reason: 'a payload in plaintext',
      workflowTaskFinishEventId: first?.eventId ?? null,
      requestId: run.workflowId,
      resetReapplyExcludeTypes: [
        proto.temporal.api.enums.v1.ResetReapplyExcludeType.RESET_REAPPLY_EXCLUDE_TYPE_SIGNAL,
      ],
    });
    const reset = system.client.workflow.getHandle(run.workflowId);
    expect(await reset.result()).toMatchObject({ outcome: 'planned' });
    expect([asked(1), asked(2)]).toEqual([1, 1]);
    expect(await countLeftovers(system.databases, mission.missionId)).toEqual(NOTHING_LEFT);
  });
});

describe('the workflow that follows the log', () => {
  it.concurrent('begins anew when somebody has ended it', async () => {
    const follow = system.client.workflow.getHandle('projection-follow');
    await follow.terminate();
    await waitUntil('it runs', async () => (await follow.describe()).status.name === 'RUNNING');
  });
});

describe('a schedule', () => {
  it.concurrent('whose times to come are backfilled starts runs that are not due', async () => {
    const objective = 'OBJECTIVE-BACKFILLED';
    const mission = await writePlaintextMission(system.webApp, objective);
    const schedule = system.client.schedule.getHandle(
      missionScheduleId(mission.user.userId, mission.missionId),
    );
    await waitUntil('it has its schedule', () => schedule.describe());
    const start = new Date();
    await schedule.backfill({ start, end: new Date(start.getTime() + 3 * HOUR_MS), overlap: 'ALLOW_ALL' });
    const started = await waitUntil('they have begun', async () => {
      const { recentActions } = (await schedule.describe()).info;
      return recentActions.length >= 4 && recentActions;
    });
    const outcomes = started.map(({ action }) => {
      const { workflowId, firstExecutionRunId } = action.workflow;
      return system.client.workflow.getHandle(workflowId, firstExecutionRunId).result();
    });
    // Those that meet another one.
    const other = expect.stringMatching(/^(not-due|already-running)$/) as string;
    for (const outcome of await Promise.all(outcomes)) expect(outcome).toMatchObject({ outcome: other });
    expect(requestsOf(system.gateway.requests, objective, 1)).toEqual([]);
    expect(await readWrittenIterations(system.databases, mission.missionId)).toEqual([]);
  });
});

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { missionScheduleId } from '#schedules/schedule-ids.ts';
import { writePlaintextMission } from '#test/support/granted-mission.ts';
import { startMissionSystem, type MissionSystem } from '#test/support/mission-system.ts';
import { replyOfTwoRounds, requestsOf } from '#test/support/planner-scripts.ts';
import { readWrittenIterations } from '#test/support/stored-rows.ts';
import { waitUntil } from '#test/support/wait-until.ts';

/** What operators do to runs, schedules and the service's own workflows in Temporal's UI, or with its CLI. */

let system: MissionSystem;
beforeAll(async () => {
  system = await startMissionSystem({ script: replyOfTwoRounds });
});
afterAll(() => system.close());

const HOUR_MS = 3_600_000;

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

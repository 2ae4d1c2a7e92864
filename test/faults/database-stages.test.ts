import { afterAll, beforeAll, expect, it } from 'vitest';
import { startRun, writePlaintextMission } from '#test/support/granted-mission.ts';
import { startMissionSystem, type MissionSystem } from '#test/support/mission-system.ts';
import { withoutRightToClaim } from '#test/support/missing-right.ts';
import { replyOfTwoRounds } from '#test/support/planner-scripts.ts';
import { countLeftovers, NOTHING_LEFT } from '#test/support/stored-rows.ts';
import { waitUntil } from '#test/support/wait-until.ts';

let system: MissionSystem;
beforeAll(async () => {
  system = await startMissionSystem({ parts: ['runner'], script: replyOfTwoRounds });
});
afterAll(() => system.close());

it('a stage that the database refuses is pending where operators look, with its reason, and goes on when that is mended', async () => {
  const mission = await writePlaintextMission(system.webApp, 'OBJECTIVE-OF-A-MISSING-RIGHT');
  const run = await withoutRightToClaim(system.databases, async () => {
    const started = await startRun(system.client, mission);
    const pending = await waitUntil('an activity has failed and tries on', async () => {
      const { raw } = await started.describe();
      return raw.pendingActivities?.find(({ attempt }) => Number(attempt) > 1);
    });
    expect(pending.activityType?.name).toBe('loadRun');
    expect(pending.lastFailure?.applicationFailureInfo?.type).toBe('UNEXPECTED');
    return started;
  });
  expect((await run.result()).outcome).toBe('planned');
  expect(await countLeftovers(system.databases, mission.missionId)).toEqual(NOTHING_LEFT);
});

import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { missionAt } from '#dev/web-app.ts';
import { formatInstant } from '#domain/base/instant.ts';
import { missionScheduleSpec } from '#domain/cadence/schedule-spec.ts';
import { createMissionSchedules, type MissionSchedules } from '#schedules/mission-schedules.ts';
import { dueWorkflowId, missionScheduleId } from '#schedules/schedule-ids.ts';
import { toScheduleRequest } from '#schedules/schedule-request.ts';
import { runProjectionPass, runReconcile } from '#schedules/system-workflows.ts';
import { RUNNER_TASK_QUEUE } from '#temporal/messages.ts';
import type { WrittenMission } from '#test/support/granted-mission.ts';
import { startMissionSystem, type MissionSystem } from '#test/support/mission-system.ts';
import { replyOfTwoRounds } from '#test/support/planner-scripts.ts';
import { waitUntil } from '#test/support/wait-until.ts';
import { runMissions } from '#test/support/operator-commands.ts';

/** No runner: what is started stays open, and can be counted. */
let system: MissionSystem;
let schedules: MissionSchedules;
beforeAll(async () => {
  system = await startMissionSystem({ script: replyOfTwoRounds, parts: ['projection'] });
  schedules = createMissionSchedules({ client: system.client, taskQueue: RUNNER_TASK_QUEUE });
});
afterAll(() => system.close());

const HOUR_MS = 3_600_000;
const WITHIN_MS = 20_000;
const NOTHING_MENDED = {
  ...{ created: 0, updated: 0, reencrypted: 0, moved: 0 },
  ...{ removed: 0, duplicatesRemoved: 0, started: 0, failed: 0 },
};

/** A pass has taken the mission in when this returns: its schedule is there. */
async function writeMission(fields: Readonly<Record<string, unknown>> = {}): Promise<WrittenMission> {
  const user = await system.webApp.createUser();
  const missionId = randomUUID();
  await system.webApp.insert(user, missionAt(missionId), {
    state: 'active',
    cadence: { kind: 'interval', everyMinutes: 30 },
    nextRunAt: formatInstant(Date.now() + HOUR_MS),
    ...fields,
  });
  await runProjectionPass(system.client);
  return { user, missionId };
}

const idOf = ({ user, missionId }: WrittenMission): string => missionScheduleId(user.userId, missionId);
const scheduleOf = (mission: WrittenMission) => system.client.schedule.getHandle(idOf(mission));

async function fingerprints(): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for await (const { scheduleId, fingerprint } of schedules.list()) found.set(scheduleId, fingerprint);
  return found;
}

/** As the operator calls it. */
async function reconcileByCommand(): Promise<unknown> {
  const { primaryKeyId, keys } = system.keys.codecKeys;
  const { stdout } = await runMissions(['reconcile', '--json'], {
    TEMPORAL_ADDRESS: inject('temporalAddress'),
    TEMPORAL_NAMESPACE: system.namespace,
    TEMPORAL_CODEC_KEYS: `${primaryKeyId}:${keys.get(primaryKeyId)?.toString('base64') ?? ''}`,
  });
  return JSON.parse(stdout);
}

describe('a full reconcile', () => {
  it('mends schedules deleted, changed, left behind and doubled by hand, says so, and then finds nothing', async () => {
    const [deleted, edited, right] = [
      await writeMission(),
      await writeMission({
        cadence: { kind: 'cron', expression: '*/7 8-9 13,31 JAN,jun FRI-SUN' },
        nextRunAt: null,
      }),
      await writeMission({ cadence: { kind: 'daily', atHour: 8, atMinute: 5 } }),
    ];
    const { spec } = await scheduleOf(edited).describe();
    const madeUp = missionScheduleSpec({
      ...{ cadence: { kind: 'manual' }, nextRunAtMs: Date.now() + HOUR_MS, timeZone: 'UTC' },
    });
    if (madeUp === null) throw new Error('no spec');
    const orphan = { userId: randomUUID(), missionId: 'gone', agentId: null, spec: madeUp };
    await schedules.ensure({ ...orphan });
    const copy = toScheduleRequest(
      { ...orphan, userId: right.user.userId, missionId: right.missionId },
      { taskQueue: RUNNER_TASK_QUEUE, catchupWindowMs: 1_000, codecKeyId: null },
    );
    await system.client.schedule.create({ ...copy, scheduleId: 'copied-by-hand' });
    const before = await waitUntil('all are listed', async () => {
      const found = await fingerprints();
      return found.size === 5 && found;
    });
    await scheduleOf(deleted).delete();
    await scheduleOf(edited).update((now) => ({ ...now, spec: { intervals: [{ every: '1h' }] } }));
    await waitUntil('the list shows what was done by hand', async () => {
      const found = await fingerprints();
      return !found.has(idOf(deleted)) && found.get(idOf(edited)) !== before.get(idOf(edited));
    });

    expect(await reconcileByCommand()).toEqual({
      ...NOTHING_MENDED,
      ...{ missions: 3, schedules: 4, created: 1, updated: 1, removed: 1, duplicatesRemoved: 1 },
    });
    expect((await scheduleOf(edited).describe()).spec).toEqual(spec);
    await waitUntil('the list shows what was mended', async () => {
      const found = await fingerprints();
      const ids = [deleted, edited, right].map(idOf);
      return found.size === 3 && ids.every((id) => found.get(id) === before.get(id));
    });
    expect(await runReconcile(system.client, WITHIN_MS)).toEqual({
      ...NOTHING_MENDED,
      missions: 3,
      schedules: 3,
    });
    const mended = system.logLines.filter((line) => line.includes('"msg":"schedule mended"'));
    expect(mended.map((line) => (JSON.parse(line) as { missionId: string }).missionId).sort()).toEqual(
      [deleted.missionId, edited.missionId].sort(),
    );
  });

  it('goes on every hour by itself', async () => {
    const { spec } = await system.client.schedule.getHandle('mana:reconcile-schedules').describe();
    expect(spec.intervals?.map(({ every }) => every)).toEqual([HOUR_MS]);
  });
});

describe("an operator's pause", () => {
  it('outlasts updates, reconcile and pass, with its note; the passed instant starts when it ends', async () => {
    const mission = await writeMission();
    const { userId } = mission.user;
    await scheduleOf(mission).pause('looking into it');
    const passedMs = Date.now() - 1_000;
    await system.webApp.update(mission.user, missionAt(mission.missionId), {
      nextRunAt: formatInstant(passedMs),
    });

    expect(await runProjectionPass(system.client)).toMatchObject({ started: 0, pending: 0 });
    expect(await runReconcile(system.client, WITHIN_MS)).toMatchObject({ started: 0, failed: 0 });
    const paused = { paused: true, note: 'looking into it' };
    expect(await schedules.pauseOf(userId, mission.missionId)).toEqual(paused);
    const run = system.client.workflow.getHandle(dueWorkflowId(userId, mission.missionId, passedMs));
    await expect(run.describe()).rejects.toThrow('not found');

    await scheduleOf(mission).unpause('all is well');
    expect(await runProjectionPass(system.client)).toMatchObject({ started: 1 });
    const { raw } = await run.describe();
    expect(raw.workflowExecutionInfo?.priority?.fairnessKey).toBe(userId);
    expect(await runProjectionPass(system.client)).toMatchObject({ started: 0 });
  });
});

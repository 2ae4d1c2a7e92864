import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { applySchedules, startOverdue } from '../../activities/projection/apply-schedules.ts';
import type { ProjectionDependencies } from '../../activities/projection/dependencies.ts';
import { projectChanges } from '../../activities/projection/project-changes.ts';
import { missionAt } from '../../dev/web-app.ts';
import { formatInstant } from '../../domain/instant.ts';
import { createActivityHarness } from '../support/activity-dependencies.ts';
import type { ActivityHarness } from '../support/activity-dependencies.ts';
import { query } from '../support/inspect.ts';

let harness: ActivityHarness;
beforeAll(async () => {
  harness = await createActivityHarness('apply-schedules-test');
});
beforeEach(() =>
  query(harness.databases.superuser.syncUrl, 'truncate public.sync_changes, mana_ai.mission_snapshots'),
);
afterAll(() => harness.close());

const HOUR_MS = 3_600_000;

/** Schedules that only remember what was asked of them. */
function recording(paused: boolean): ProjectionDependencies & { readonly asked: string[] } {
  const asked: string[] = [];
  return {
    ...harness.projection,
    asked,
    schedules: {
      ...harness.projection.schedules,
      isPaused: () => Promise.resolve(paused),
      ensure: ({ missionId }) => {
        asked.push(`ensure ${missionId}`);
        return missionId === 'bad' ? Promise.reject(new Error('no')) : Promise.resolve('created');
      },
      startDue: ({ missionId }) => {
        asked.push(`start ${missionId}`);
        return Promise.resolve('started');
      },
    },
  };
}

async function writeMission(missionId: string, nextRunAtMs: number): Promise<void> {
  const user = await harness.webApp.createUser();
  await harness.webApp.insert(user, missionAt(missionId), {
    state: 'active',
    cadence: { kind: 'interval', everyMinutes: 30 },
    nextRunAt: formatInstant(nextRunAtMs),
  });
  await projectChanges(harness.projection);
}

const apply = (deps: ProjectionDependencies): Promise<number> =>
  applySchedules(deps, new AbortController().signal);

describe('a mission whose instant has passed', () => {
  it('is started directly, beside its schedule', async () => {
    await writeMission('m1', Date.now() - HOUR_MS);
    const deps = recording(false);
    expect(await apply(deps)).toBe(1);
    expect(deps.asked).toEqual(['ensure m1', 'start m1']);
    expect(await apply(deps)).toBe(0);
  });

  it('is not started while an operator has paused its schedule, and is once the pause ends', async () => {
    await writeMission('m1', Date.now() - HOUR_MS);
    const paused = recording(true);
    await apply(paused);
    await startOverdue(paused);
    expect(paused.asked).toEqual(['ensure m1']);
    const resumed = recording(false);
    await startOverdue(resumed);
    expect(resumed.asked).toEqual(['start m1']);
  });
});

describe('a mission whose schedule cannot be written', () => {
  it('stays pending, behind the others', async () => {
    await writeMission('bad', Date.now() + HOUR_MS);
    await writeMission('good', Date.now() + HOUR_MS);
    const deps = recording(false);
    expect(await apply(deps)).toBe(1);
    const pending = await query(
      harness.databases.superuser.syncUrl,
      `select mission_id, version <> applied_version as pending from mana_ai.mission_snapshots order by updated_at`,
    );
    expect(pending).toEqual([
      { mission_id: 'good', pending: false },
      { mission_id: 'bad', pending: true },
    ]);
  });
});

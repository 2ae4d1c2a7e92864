import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { surroundingsOf } from './surroundings.ts';
import { createMissionSchedules } from '#schedules/mission-schedules.ts';
import { RUNNER_TASK_QUEUE } from '#temporal/messages.ts';
import { countRows, query } from '#test/support/inspect.ts';
import { startMissionSystem, type MissionSystem } from '#test/support/mission-system.ts';
import { replyOfTwoRounds } from '#test/support/planner-scripts.ts';
import { waitUntil } from '#test/support/wait-until.ts';
import { startSystemProcess, type SystemProcess } from '#test/support/worker-process.ts';

const MISSIONS = 90;
const PASSED = 30;

let system: MissionSystem;
const processes: SystemProcess[] = [];
beforeAll(async () => {
  system = await startMissionSystem({ parts: [], script: replyOfTwoRounds });
});
afterAll(async () => {
  await Promise.all(processes.map((running) => running.kill9()));
  await system.close();
});

async function startProjection(): Promise<SystemProcess> {
  const started = await startSystemProcess('projection', await surroundingsOf(system));
  processes.push(started);
  return started;
}

/** Missions of every half hour, each of a user of its own; the instants of the first ones have passed. */
const writeMissions = (): Promise<unknown> =>
  query(
    system.databases.superuser.syncUrl,
    `insert into public.sync_changes (app_id, table_name, record_id, user_id, op, data, client_id, created_at)
    select 'ai', 'aiMissions', 'm' || n, 'user-' || n, 'insert', jsonb_build_object('id', 'm' || n,
      'createdAt', '2026-01-01T00:00:00.000Z', 'title', 'made up', 'conceptMarkdown', '', 'objective', 'made up',
      'state', 'active', 'cadence', jsonb_build_object('kind', 'interval', 'everyMinutes', 30), 'inputs', '[]'::jsonb,
      'iterations', '[]'::jsonb, 'nextRunAt', to_char(now() at time zone 'utc'
        + interval '1 hour' * case when n <= $2 then -1 else 1 end, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')),
      'device', clock_timestamp()
    from generate_series(1, $1::int) n`,
    [MISSIONS, PASSED],
  );

const countApplied = (): Promise<number> =>
  countRows(system.databases.superuser.syncUrl, 'mana_ai.mission_snapshots', 'version = applied_version');

async function listedSchedules(): Promise<string[]> {
  const ids: string[] = [];
  const { client } = system;
  for await (const { missionId } of createMissionSchedules({ client, taskQueue: RUNNER_TASK_QUEUE }).list()) {
    ids.push(missionId);
  }
  return ids;
}

const countRuns = async (): Promise<number> =>
  (await system.client.workflow.count(`WorkflowType = 'missionRun'`)).count;

describe('a projection killed in the middle of its work', () => {
  it('is resumed by two others, which lose and double nothing, and which SIGTERM ends with 0', async () => {
    await writeMissions();
    const killed = await startProjection();
    await waitUntil('it is in the middle', async () => (await countApplied()) > 5);
    await killed.kill9();
    expect(await countApplied()).toBeLessThan(MISSIONS);

    const others = await Promise.all([startProjection(), startProjection()]);
    await waitUntil('all are applied', async () => (await countApplied()) === MISSIONS);
    await waitUntil('all are listed', async () => (await listedSchedules()).length >= MISSIONS);
    expect(new Set(await listedSchedules()).size).toBe(MISSIONS);
    expect(await listedSchedules()).toHaveLength(MISSIONS);
    // Nobody polls for runs: each one that was started is still there.
    await waitUntil('the passed ones are started', async () => (await countRuns()) >= PASSED);
    expect(await countRuns()).toBe(PASSED);

    const ends = await Promise.all(others.map((running) => running.stop(10_000)));
    expect(ends).toEqual([1, 2].map(() => ({ code: 0, signal: null })));
  });
});

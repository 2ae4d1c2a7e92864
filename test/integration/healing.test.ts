import { toMissionId, type MissionId, toWorkflowRunId } from '#domain/base/ids.ts';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { projectChanges } from '#activities/projection/project-changes.ts';
import { forgetRun } from '#activities/runner/forget-run.ts';
import { healIterations } from '#activities/runner/heal-iterations.ts';
import { loadRun } from '#activities/runner/load-run.ts';
import { planOneRound } from '#activities/runner/round/one-round.ts';
import { writeIteration } from '#activities/runner/write-iteration.ts';
import { healEventIdOf } from '#crypto/derived-ids.ts';
import { withClient } from '#dev/platform-schema.ts';
import { missionAt, type PulledRow, type WebAppUser } from '#dev/web-app.ts';
import { formatInstant } from '#domain/base/instant.ts';
import { acceptableIterations } from '#domain/iteration/iterations.ts';
import { RUNNER_CLIENT_ID } from '#domain/wire/rows.ts';
import { stepRank, stepsOf, type StoredObject } from '#domain/wire/iteration.ts';
import { createActivityHarness, type ActivityHarness } from '#test/support/activity-dependencies.ts';
import { lossesIn, type WrittenRun } from '#test/support/iteration-losses.ts';
import { waitUntil } from '#test/support/wait-until.ts';

let harness: ActivityHarness;
beforeAll(async () => {
  harness = await createActivityHarness('healing-test');
});
afterAll(() => harness.close());

interface Story {
  readonly user: WebAppUser;
  readonly missionId: MissionId;
}

async function story(): Promise<Story> {
  const user = await harness.webApp.createUser();
  const missionId = toMissionId(randomUUID());
  await harness.webApp.insert(user, missionAt(missionId), {
    ...{ title: 'Mission', objective: 'Objective', state: 'active', inputs: [], iterations: [] },
    cadence: { kind: 'interval', everyMinutes: 30 },
    nextRunAt: formatInstant(Date.now() + 3_600_000),
  });
  return { user, missionId };
}

/** A whole run, as the user asks for one: two planned steps, or a failure. */
async function run({ user, missionId }: Story, failure: WrittenRun['failure']): Promise<WrittenRun> {
  const [runId, startedAtMs] = [toWorkflowRunId(randomUUID()), Date.now()];
  const loaded = await loadRun(harness.runner, {
    ...{ userId: user.userId, missionId, trigger: 'run-now', workflowId: `w-${runId}`, runId },
    ...{ startedAtMs, scheduledAtMs: null },
  });
  if (loaded.outcome !== 'ready') throw new Error(loaded.outcome);
  const ref = { userId: user.userId, missionId, iterationId: loaded.iterationId, runId };
  if (failure === null) {
    const call = (title: string) => ({ id: title, name: 'create_task', arguments: { title } });
    const counts = { totalTokens: 3, promptTokens: 2, completionTokens: 1, resolvedModel: null };
    harness.runner.replies.push(
      { content: null, toolCalls: [call('eins'), call('zwei')], finishReason: 'tool_calls', ...counts },
      { content: 'Zwei Aufgaben.', toolCalls: [], finishReason: 'stop', ...counts },
    );
    for (const round of [1, 2]) {
      const input = { ...ref, round, agentId: null, grantUsable: false };
      await planOneRound(harness.runner, input, new AbortController().signal);
    }
  }
  await writeIteration(harness.runner, {
    ...{ ...ref, startedAtMs, grantUsable: false },
    result:
      failure === null
        ? { kind: 'planned' }
        : { kind: 'failed', failure: { code: failure, phase: 'resolving-inputs' } },
  });
  await forgetRun(harness.runner.database, user.userId, ref);
  return { id: loaded.iterationId, failure };
}

const rowsOf = ({ user, missionId }: Story): Promise<PulledRow[]> =>
  harness.webApp.rows(user, missionAt(missionId));
const pulled = async ({ user, missionId }: Story): Promise<StoredObject[]> =>
  acceptableIterations((await harness.webApp.read(user, missionAt(missionId)))?.record['iterations']);

/** What follows the log: it heals where the projection suspects that something was lost, and nowhere else. */
async function followOnce({ user, missionId }: Story): Promise<number> {
  const { changes } = await projectChanges(harness.projection);
  let restored = 0;
  for (const healing of harness.projection.healings.splice(0)) {
    if (healing !== `${user.userId}/${missionId}`) continue;
    restored += await healIterations(harness.runner, user.userId, missionId);
  }
  return changes + restored;
}

/** The same numbers in every run of the test. */
function numbers(seed: number): (below: number) => number {
  let state = seed * 7_919 + 1;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % below;
  };
}

/** One thing that a user does on a device: an iteration of its own, feedback, or a step taken further. */
function edited(iterations: readonly StoredObject[], pick: (below: number) => number): StoredObject[] {
  const at = pick(iterations.length + 1);
  const before = iterations[at];
  if (before === undefined) {
    const own = { id: randomUUID(), startedAt: formatInstant(Date.now()), plan: [], source: 'browser' };
    return [...iterations, { ...own, overallStatus: 'approved' }];
  }
  const steps = stepsOf(before) as StoredObject[];
  const step = pick(steps.length + 1);
  const status = ['staged', 'approved', 'rejected', 'skipped', 'failed'][pick(5)];
  const isForward = stepRank(status) >= stepRank(steps[step]?.['status']);
  const after =
    step < steps.length && isForward
      ? { ...before, plan: steps.with(step, { ...steps[step], status, proposalId: randomUUID() }) }
      : { ...before, userFeedback: `said ${randomUUID()}` };
  return iterations.with(at, after);
}

/** A row that others see only when the transaction ends, with the time at which it began (docs/platform.md section 1). */
const writeLate = (
  { user, missionId }: Story,
  clientId: string,
  iterations: readonly StoredObject[],
  before: () => Promise<unknown>,
): Promise<void> =>
  withClient(harness.databases.superuser.syncUrl, async (client) => {
    await client.query('begin');
    await client.query(
      `insert into public.sync_changes (app_id, table_name, record_id, user_id, op, data, field_meta, client_id)
         values ('ai', 'aiMissions', $1, $2, 'update', $3, $4, $5)`,
      [
        ...[missionId, user.userId, JSON.stringify({ iterations })],
        ...[JSON.stringify({ iterations: formatInstant(Date.now()) }), clientId],
      ],
    );
    await before();
    await client.query('commit');
  });

const DEVICES = 10;
const EDITS = 12;

describe('ten devices that edit a mission while its runs write', () => {
  it('lose no iteration, no feedback and no step state, and the writes end', async () => {
    const told = await story();
    const runs: WrittenRun[] = [];
    let isOver = false;

    const device = async (index: number): Promise<void> => {
      const pick = numbers(index);
      const clientId = `device-${index}`;
      let local: readonly StoredObject[] = [];
      for (let edit = 0; edit < EDITS; edit += 1) {
        // Most edits are made on what was pulled some time ago.
        if (pick(3) === 0) local = await pulled(told);
        local = edited(local, pick);
        if (pick(4) === 0) {
          const known = runs.length;
          await writeLate(told, clientId, local, () =>
            waitUntil('another run has written', () => isOver || runs.length > known),
          );
        } else {
          // Two of the clocks are behind, one is ahead.
          const skewMs = index < 2 ? -1_500 : index === 2 ? 1_500 : 0;
          await harness.webApp.insertRow(told.user.userId, {
            ...missionAt(told.missionId),
            ...{ op: 'update', data: { iterations: local }, clientId },
            fieldMeta: { iterations: formatInstant(Date.now() + skewMs) },
          });
        }
      }
    };
    const runAgainAndAgain = async (): Promise<void> => {
      const failures = [null, 'grant-absent', 'grant-absent', null, 'gateway-rejected', null] as const;
      for (const failure of [...failures, ...failures]) runs.push(await run(told, failure));
      isOver = true;
    };
    const devices = Promise.all([...Array(DEVICES).keys()].map(device));
    const everybody = Promise.all([devices, runAgainAndAgain()]).then(() => true);
    let isQuiet = false;
    while (!isQuiet) {
      const isDone = await Promise.race([everybody, Promise.resolve(false)]);
      const done = await followOnce(told);
      isQuiet = isDone && done === 0;
    }

    const rows = await rowsOf(told);
    expect(lossesIn(rows, runs)).toEqual([]);
    const heals = rows.filter(({ clientId, origin }) => clientId === RUNNER_CLIENT_ID && origin === 'system');
    const others = new Set(rows.map(({ id }) => healEventIdOf(id)));
    expect(heals.length).toBeGreaterThan(0);
    expect(heals.length).toBeLessThanOrEqual(rows.length - heals.length);
    expect(heals.filter(({ id }) => !others.has(id))).toEqual([]);
    expect(await healIterations(harness.runner, told.user.userId, told.missionId)).toBe(0);
    expect(harness.projection.warnings).toEqual([]);
  });
});

describe('a write of ours that a device’s row comes after', () => {
  it('gives back the feedback and the step that it had not read, once, however many heal', async () => {
    const told = await story();
    const first = await run(told, null);
    const reviewed = (await pulled(told)).map((each): StoredObject => ({ ...each, userFeedback: 'gut' }));
    await writeLate(told, 'device-1', reviewed, () => run(told, 'grant-absent'));
    expect((await pulled(told)).find(({ id }) => id === first.id)?.['userFeedback']).toBeUndefined();

    const heal = () => healIterations(harness.runner, told.user.userId, told.missionId);
    const restored = await Promise.all([heal(), heal(), heal()]);
    expect(restored.toSorted()).toEqual([0, 0, 1]);
    expect((await pulled(told)).find(({ id }) => id === first.id)).toEqual(
      reviewed.find(({ id }) => id === first.id),
    );
    expect((await rowsOf(told)).filter(({ origin }) => origin === 'system')).toHaveLength(1);
  });

  it('puts nothing back into a mission that was deleted meanwhile', async () => {
    const told = await story();
    await run(told, null);
    await harness.webApp.update(told.user, missionAt(told.missionId), { iterations: [] });
    await harness.webApp.update(told.user, missionAt(told.missionId), {
      deletedAt: formatInstant(Date.now()),
    });
    expect(await healIterations(harness.runner, told.user.userId, told.missionId)).toBe(0);
  });
});

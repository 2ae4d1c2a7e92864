import { toMissionId, type MissionId, toIterationId, toWorkflowRunId } from '#domain/base/ids.ts';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { projectChanges } from '#activities/projection/project-changes.ts';
import { forgetRun, sweepRuns } from '#activities/runner/forget-run.ts';
import { healIterations } from '#activities/runner/heal-iterations.ts';
import { loadRun } from '#activities/runner/load-run.ts';
import { planOneRound } from '#activities/runner/round/one-round.ts';
import { writeIteration } from '#activities/runner/write-iteration.ts';
import { claimEventIdOf, eventIdOf } from '#crypto/derived-ids.ts';
import { withClient } from '#dev/platform-schema.ts';
import { agentAt, missionAt, type PulledRow, type WebAppUser } from '#dev/web-app.ts';
import { formatInstant } from '#domain/base/instant.ts';
import { RUNNER_CLIENT_ID } from '#domain/wire/rows.ts';
import type { PlannerReply } from '#domain/planner/model/planner-reply.ts';
import type { EndCause, IterationResult, LoadRunInput, LoadRunResult } from '#domain/run/run.ts';
import { createActivityHarness, type ActivityHarness } from '#test/support/activity-dependencies.ts';
import { objectionsTo } from '#test/support/device.ts';

let harness: ActivityHarness;
beforeAll(async () => {
  harness = await createActivityHarness('claims-test');
});
afterAll(() => harness.close());

type Fields = Readonly<Record<string, unknown>>;
const MINUTE_MS = 60_000;

const reply = (title: string | null): PlannerReply => ({
  content: title === null ? 'Fertig.' : null,
  toolCalls: title === null ? [] : [{ id: 'c', name: 'create_task', arguments: { title } }],
  finishReason: title === null ? 'stop' : 'tool_calls',
  ...{ totalTokens: 12, promptTokens: 10, completionTokens: 2, resolvedModel: 'scripted/planner' },
});

interface Told {
  readonly user: WebAppUser;
  readonly missionId: MissionId;
  readonly dueAtMs: number;
  readonly agentId: string | null;
}

async function mission(fields: Fields = {}, agent: Fields | null = null): Promise<Told> {
  const user = await harness.webApp.createUser();
  const missionId = toMissionId(randomUUID());
  const dueAtMs = Date.now() - MINUTE_MS;
  const agentId = agent === null ? null : randomUUID();
  if (agentId !== null)
    await harness.webApp.insert(user, agentAt(agentId), { name: 'A', state: 'active', ...agent });
  await harness.webApp.insert(user, missionAt(missionId), {
    ...{ title: 'Mission', objective: 'Ziel', state: 'active', inputs: [], iterations: [], agentId },
    ...{ cadence: { kind: 'interval', everyMinutes: 30 }, nextRunAt: formatInstant(dueAtMs), ...fields },
  });
  return { user, missionId, dueAtMs, agentId };
}

const runOf = ({ user, missionId }: Told, more: Partial<LoadRunInput> = {}): LoadRunInput => ({
  ...{ userId: user.userId, missionId, trigger: 'projection', workflowId: randomUUID() },
  ...{ runId: toWorkflowRunId(randomUUID()), startedAtMs: Date.now(), scheduledAtMs: null, ...more },
});
const load = (input: LoadRunInput): Promise<LoadRunResult> => loadRun(harness.runner, input);

const round = (input: LoadRunInput, loaded: LoadRunResult, number = 1, title: string | null = null) => {
  harness.runner.replies.splice(0, Infinity, reply(title));
  if (loaded.outcome !== 'ready') throw new Error(loaded.outcome);
  const { iterationId, agentId, dueAtMs } = loaded;
  const due = dueAtMs === undefined ? {} : { dueAtMs };
  return planOneRound(
    harness.runner,
    { ...input, iterationId, agentId, round: number, grantUsable: false, ...due },
    new AbortController().signal,
  );
};
const wasAsked = (): boolean => harness.runner.replies.length === 0;

const write = (input: LoadRunInput, loaded: LoadRunResult, result: IterationResult = { kind: 'planned' }) =>
  writeIteration(harness.runner, {
    ...{ ...input, iterationId: loaded.iterationId ?? toIterationId(''), grantUsable: false, result },
    agentId: loaded.outcome === 'ready' ? loaded.agentId : null,
  });

const record = async ({ user, missionId }: Told): Promise<Fields> =>
  (await harness.webApp.read(user, missionAt(missionId)))?.record ?? {};
const iterations = async (told: Told): Promise<Fields[]> => (await record(told))['iterations'] as Fields[];
const rows = ({ user, missionId }: Told): Promise<PulledRow[]> =>
  harness.webApp.rows(user, missionAt(missionId));
const ourRows = async (told: Told): Promise<PulledRow[]> =>
  (await rows(told)).filter(({ clientId }) => clientId === RUNNER_CLIENT_ID);
const edit = (told: Told, fields: Fields, atMs = Date.now() + 20) =>
  harness.webApp.update(told.user, missionAt(told.missionId), fields, { atMs });

describe('the claim of an instant', () => {
  it('is one row with our iteration as running and the next instant, as a device wants it', async () => {
    const told = await mission();
    const input = runOf(told);
    const loaded = await load(input);
    const [claim, ...more] = await ourRows(told);
    expect(more).toEqual([]);
    expect(claim).toMatchObject({
      id: claimEventIdOf(toIterationId(String(loaded.iterationId))),
      ...{ op: 'update', origin: 'agent', actor: { kind: 'ai', iterationId: loaded.iterationId } },
    });
    expect(Object.keys(claim?.data as object).sort()).toEqual(['iterations', 'nextRunAt']);
    const all = await rows(told);
    if (claim !== undefined) expect(objectionsTo(claim, all.slice(0, -1), told.missionId)).toEqual([]);
    expect(await iterations(told)).toEqual([
      {
        ...{
          id: loaded.iterationId,
          startedAt: formatInstant(input.startedAtMs),
          plan: [],
          source: 'server',
        },
        ...{ overallStatus: 'running', currentPhase: 'resolving-inputs' },
        phaseStartedAt: expect.any(String) as unknown,
      },
    ]);
    expect((await record(told))['nextRunAt']).toBe(formatInstant(told.dueAtMs + 30 * MINUTE_MS));
  });

  it('is found by a repeated attempt, which goes on with it and writes no second one', async () => {
    const told = await mission();
    const input = runOf(told);
    const [first, second] = [await load(input), await load(input)];
    expect(second).toMatchObject({ outcome: 'ready', iterationId: first.iterationId });
    expect(await ourRows(told)).toHaveLength(1);
  });

  it('is replaced by what the run comes to, by its id and once, with feedback of meanwhile', async () => {
    const told = await mission();
    const input = runOf(told);
    const loaded = await load(input);
    const [running] = await iterations(told);
    await edit(told, { iterations: [{ ...running, userFeedback: 'schneller' }] });
    await round(input, loaded, 1, 'eins');
    await round(input, loaded, 2);
    await Promise.all([write(input, loaded), write(input, loaded)]);
    await forgetRun(harness.runner.database, told.user.userId, input);
    expect(await ourRows(told)).toHaveLength(2);
    const [written, ...others] = await iterations(told);
    expect(others).toEqual([]);
    expect(written).toMatchObject({
      id: loaded.iterationId,
      overallStatus: 'awaiting-review',
      userFeedback: 'schneller',
    });
    expect(written).not.toHaveProperty('currentPhase');
  });

  it('of a run that the user asked for leaves an instant that lies ahead', async () => {
    const nextRunAt = formatInstant(Date.now() + 7 * MINUTE_MS);
    const told = await mission({ nextRunAt });
    await load(runOf(told, { trigger: 'run-now' }));
    expect((await record(told))['nextRunAt']).toBe(nextRunAt);
    expect(await iterations(told)).toMatchObject([{ overallStatus: 'running' }]);
  });

  it.each([
    ['not due', { nextRunAt: formatInstant(Date.now() + 10 * MINUTE_MS) }],
    ['paused', { state: 'paused' }],
    ['archived', { state: 'archived' }],
  ])('is not made by a run of a mission that is %s', async (_what, fields) => {
    const told = await mission(fields);
    await load(runOf(told));
    expect(await ourRows(told)).toEqual([]);
  });

  it('is no earlier run in the prompt', async () => {
    const told = await mission();
    const input = runOf(told);
    const loaded = await load(input);
    const { gateway } = harness.runner;
    const asked: string[] = [];
    const runner = {
      ...harness.runner,
      gateway: {
        complete: (...args: Parameters<typeof gateway.complete>) => {
          asked.push(args[0]);
          return gateway.complete(...args);
        },
      },
    };
    harness.runner.replies.splice(0, Infinity, reply(null));
    await planOneRound(
      runner,
      {
        ...input,
        iterationId: loaded.iterationId ?? toIterationId(''),
        agentId: null,
        round: 1,
        grantUsable: false,
      },
      new AbortController().signal,
    );
    expect(asked).toHaveLength(1);
    expect(asked[0]).not.toMatch(/Lauf vom|Run of/);
  });

  it('repeating failures do not pile up', async () => {
    const told = await mission();
    for (let count = 0; count < 3; count += 1) {
      const input = runOf(told);
      const loaded = await load(input);
      await write(input, loaded, {
        kind: 'failed',
        failure: { code: 'gateway-rejected', phase: 'calling-llm' },
      });
      await forgetRun(harness.runner.database, told.user.userId, input);
      await edit(told, { nextRunAt: formatInstant(Date.now() - 1) });
    }
    expect(await iterations(told)).toMatchObject([{ overallStatus: 'failed' }]);
    expect(await healIterations(harness.runner, told.user.userId, told.missionId)).toBe(0);
  });
});

describe('an iteration of a browser', () => {
  const browser = (startMs: number, overallStatus: string, source: unknown = 'browser'): Fields => ({
    ...{ id: randomUUID(), startedAt: formatInstant(startMs), plan: [], overallStatus, source },
  });
  const ago = (minutes: number) => Date.now() - minutes * MINUTE_MS;

  it.each([
    ['began after the instant and runs', 30, () => browser(ago(2), 'running'), 'ran-elsewhere'],
    [
      'is of an older web app, which names no source',
      30,
      () => browser(ago(2), 'running', undefined),
      'ran-elsewhere',
    ],
    ['began after the instant and is finished', 30, () => browser(ago(20), 'approved'), 'ran-elsewhere'],
    ['began after the instant and failed', 30, () => browser(ago(20), 'failed'), 'ran-elsewhere'],
    ['has been running for over five minutes', 30, () => browser(ago(6), 'running'), 'ready'],
    ['began before the instant', 1, () => browser(ago(2), 'approved'), 'ready'],
    ['lies far ahead', 1, () => browser(ago(-600), 'approved'), 'ready'],
    ['has no readable start', 1, () => ({ ...browser(ago(0), 'approved'), startedAt: 'soon' }), 'ready'],
    ['is one of ours', 30, () => browser(ago(2), 'approved', 'server'), 'ready'],
  ])('that %s: the run of an instant %d minutes ago is %s', async (_what, minutes, made, outcome) => {
    const told = await mission({ nextRunAt: formatInstant(ago(minutes)), iterations: [made()] });
    const input = runOf(told);
    const loaded = await load(input);
    expect(loaded.outcome).toBe(outcome === 'ready' ? 'ready' : 'ran-elsewhere');
    if (outcome === 'ready') return;
    await write(input, loaded, { kind: 'advance-only', cause: 'ran-elsewhere' });
    expect(await iterations(told)).toHaveLength(1);
    expect(Date.parse(String((await record(told))['nextRunAt']))).toBeGreaterThan(Date.now());
  });

  it('does not end a run that the user asked for', async () => {
    const told = await mission({ iterations: [browser(Date.now(), 'running')] });
    expect((await load(runOf(told, { trigger: 'run-now' }))).outcome).toBe('ready');
  });

  it('that shows up after the claim and before the first round ends the run without a call', async () => {
    const told = await mission();
    const input = runOf(told);
    const loaded = await load(input);
    const theirs = browser(told.dueAtMs + 1_000, 'running');
    await edit(told, { iterations: [...(await iterations(told)), theirs] });
    expect(await round(input, loaded)).toMatchObject({ status: 'ran-elsewhere' });
    expect(wasAsked()).toBe(false);
    await write(input, loaded, { kind: 'advance-only', cause: 'ran-elsewhere' });
    expect(await iterations(told)).toMatchObject(
      [
        {
          overallStatus: 'approved',
          plan: [],
          summary: 'Die App hat diesen Termin übernommen; hier wurde nichts geplant.',
        },
        theirs,
      ].toReversed(),
    );
  });
});

describe('a claim whose run is over', () => {
  it.each([
    ['cancelled', 'run-cancelled'],
    ['stopped', 'run-stopped'],
    ['agent-busy', 'agent-busy'],
  ] as const)('%s: ends as failed, says so, and is written once', async (cause: EndCause, name) => {
    const told = await mission();
    const input = runOf(told);
    const loaded = await load(input);
    await write(input, loaded, { kind: 'advance-only', cause });
    await write(input, loaded, { kind: 'advance-only', cause });
    expect(await iterations(told)).toMatchObject([
      { id: loaded.iterationId, overallStatus: 'failed', errorDetails: { name }, plan: [] },
    ]);
    expect(await ourRows(told)).toHaveLength(2);
  });

  it('terminated: is finished as failed by the sweep, once', async () => {
    const told = await mission();
    const input = runOf(told);
    const { iterationId } = await load(input);
    await withClient(harness.databases.superuser.syncUrl, (client) =>
      client.query(
        `update mana_ai.run_slots set claimed_at = now() - interval '11 minutes' where run_id = $1`,
        [input.runId],
      ),
    );
    const sweep = () =>
      sweepRuns(harness.runner, (_run, error) => {
        throw error;
      });
    await Promise.all([sweep(), sweep()]);
    expect(await iterations(told)).toMatchObject([
      {
        id: iterationId,
        overallStatus: 'failed',
        errorDetails: { name: 'run-interrupted' },
        startedAt: formatInstant(input.startedAtMs),
      },
    ]);
    expect((await ourRows(told)).map(({ id }) => id)).toContain(
      eventIdOf(toIterationId(String(iterationId))),
    );
    expect(await ourRows(told)).toHaveLength(2);
  });

  it('terminated, and found by the next run: ends before that one claims its own', async () => {
    const told = await mission();
    const dead = await load(runOf(told));
    const next = await load(runOf(told, { trigger: 'run-now' }));
    expect(next.outcome).toBe('ready');
    expect(await iterations(told)).toMatchObject([
      { id: dead.iterationId, overallStatus: 'failed' },
      { id: next.iterationId, overallStatus: 'running' },
    ]);
  });

  it('terminated, and forgetting after its successor took over: deletes nothing of the successor', async () => {
    const told = await mission();
    const dead = runOf(told);
    await load(dead);
    const next = runOf(told, { trigger: 'run-now' });
    const loaded = await load(next);
    await round(next, loaded, 1, 'eins');
    await forgetRun(harness.runner.database, told.user.userId, dead);
    await round(next, loaded, 2);
    expect(await write(next, loaded)).toMatchObject({ outcome: 'planned', steps: 1 });
    expect((await iterations(told)).at(-1)).toMatchObject({
      plan: [{ summary: expect.stringContaining('eins') as unknown }],
    });
  });

  it('of a run that was reset is gone on with: its workflow is the same', async () => {
    const told = await mission();
    const input = runOf(told);
    const dead = await load(input);
    const heir = await load(runOf(told, { workflowId: input.workflowId }));
    expect(heir).toMatchObject({ outcome: 'ready', iterationId: dead.iterationId });
    expect(await ourRows(told)).toHaveLength(1);
  });
});

describe('a mission that is deleted while its run is under way', () => {
  const sweep = async (input: LoadRunInput): Promise<void> => {
    await withClient(harness.databases.superuser.syncUrl, (client) =>
      client.query(
        `update mana_ai.run_slots set claimed_at = now() - interval '11 minutes' where run_id = $1`,
        [input.runId],
      ),
    );
    await sweepRuns(harness.runner, (_run, error) => {
      throw error;
    });
  };
  const remove = ({ user, missionId }: Told, data: Fields) =>
    harness.webApp.insertRow(user.userId, { ...missionAt(missionId), op: 'delete', data });
  const planned = async (input: LoadRunInput, loaded: LoadRunResult): Promise<unknown> => {
    const written = await write(input, loaded);
    await write(input, loaded);
    return written;
  };
  const isTold = { overallStatus: 'failed', plan: [], finishedAt: expect.any(String) as unknown };

  it.each([
    ['with deletedAt', 'its run ends', 'run-stopped', planned],
    ['with a delete row', 'its run ends', 'run-stopped', planned],
    ['with deletedAt', 'the load is repeated', 'run-stopped', async (input: LoadRunInput) => {
      const again = await load(input);
      expect(again).toMatchObject({ outcome: 'deleted', iterationId: expect.any(String) as unknown });
      await write(input, again, { kind: 'advance-only', cause: 'stopped' });
    }],
    ['with deletedAt', 'its run was cancelled', 'run-cancelled', (input: LoadRunInput, loaded: LoadRunResult) =>
      write(input, loaded, { kind: 'advance-only', cause: 'cancelled' })],
    ['with deletedAt', 'its run was terminated', 'run-interrupted', sweep],
    ['with a delete row', 'its run was terminated', 'run-interrupted', sweep],
  ] as const)('%s: the claim ends when %s, and the mission stays deleted', async (how, _when, name, end) => {
    const told = await mission();
    const input = runOf(told);
    const loaded = await load(input);
    await round(input, loaded, 1, 'eins');
    const deletedAt = formatInstant(Date.now() + 20);
    if (how === 'with deletedAt') await edit(told, { deletedAt });
    else await remove(told, { deletedAt });
    await end(input, loaded);
    await forgetRun(harness.runner.database, told.user.userId, input);
    const [, endRow, ...more] = await ourRows(told);
    expect(more).toEqual([]);
    expect(Object.keys(endRow?.data as object)).toEqual(['iterations']);
    expect(await harness.webApp.read(told.user, missionAt(told.missionId))).toBeNull();
    await edit(told, { deletedAt: null }, Date.now() + 60);
    expect(await iterations(told)).toMatchObject([
      { id: loaded.iterationId, ...isTold, errorDetails: { name } },
    ]);
    expect(await healIterations(harness.runner, told.user.userId, told.missionId)).toBe(0);
  }); // prettier-ignore

  it('removed without a tombstone: nothing is written, for devices would make a new mission of it', async () => {
    const told = await mission();
    const input = runOf(told);
    const loaded = await load(input);
    await remove(told, {});
    expect(await write(input, loaded)).toMatchObject({ outcome: 'mission-gone' });
    await sweep(input);
    expect(await ourRows(told)).toHaveLength(1);
  });
});

describe('a mission or an agent that is stopped while its run is under way', () => {
  it.each([
    ['mission', { state: 'paused' }],
    ['mission', { state: 'done' }],
    ['mission', { state: 'archived' }],
    ['agent', { state: 'paused' }],
    ['agent', { state: 'archived' }],
    ['agent', { deletedAt: '2026-11-28T12:00:00.000Z' }],
  ])('%s %j: no further round, and nothing but the claim’s end', async (which, fields) => {
    const told = await mission({}, {});
    const input = runOf(told);
    const loaded = await load(input);
    await round(input, loaded, 1, 'eins');
    const before = await record(told);
    const at = which === 'mission' ? missionAt(told.missionId) : agentAt(told.agentId ?? '');
    await harness.webApp.update(told.user, at, fields, { atMs: Date.now() + 20 });
    expect(await round(input, loaded, 2)).toMatchObject({ status: 'stopped' });
    expect(wasAsked()).toBe(false);
    // Also where it was stopped after the last round.
    expect(await write(input, loaded)).toMatchObject({ outcome: 'stopped', steps: 0 });
    expect(await iterations(told)).toMatchObject([
      { overallStatus: 'failed', errorDetails: { name: 'run-stopped' } },
    ]);
    expect((await record(told))['nextRunAt']).toBe(before['nextRunAt']);
  });

  it('while it waits for a busy agent: the next attempt says so, with the claim to end', async () => {
    const told = await mission();
    const input = runOf(told);
    const loaded = await load(input);
    await edit(told, { state: 'paused' });
    expect(await load(input)).toEqual({ outcome: 'paused', iterationId: loaded.iterationId });
  });
});

describe('devices and a claim', () => {
  const heal = ({ user, missionId }: Told) => healIterations(harness.runner, user.userId, missionId);

  it('a device that had not pulled it overwrites it: it is put back while it runs', async () => {
    const told = await mission();
    const { iterationId } = await load(runOf(told));
    await edit(told, { iterations: [] });
    await projectChanges(harness.projection);
    expect(harness.projection.healings).toContain(`${told.user.userId}/${told.missionId}`);
    expect(await heal(told)).toBe(1);
    expect(await iterations(told)).toMatchObject([{ id: iterationId, overallStatus: 'running' }]);
  });

  it('one that had pulled it hands it on: `running` never stands over what the run came to', async () => {
    const told = await mission();
    const input = runOf(told);
    const loaded = await load(input);
    const claimed = await iterations(told);
    await edit(told, { title: 'Neu', iterations: claimed }, Date.now());
    await round(input, loaded, 1, 'eins');
    await round(input, loaded, 2);
    await write(input, loaded);
    expect(await heal(told)).toBe(0);
    await projectChanges(harness.projection);
    harness.projection.healings.length = 0;
    await edit(told, { iterations: claimed });
    await projectChanges(harness.projection);
    expect(harness.projection.healings).toContain(`${told.user.userId}/${told.missionId}`);
    expect(await heal(told)).toBe(1);
    expect(await iterations(told)).toMatchObject([
      { overallStatus: 'awaiting-review', plan: [{ status: 'planned' }] },
    ]);
    expect(await heal(told)).toBe(0);
  });

  it('a write-back over the claim starts no healing', async () => {
    const told = await mission();
    const input = runOf(told);
    const loaded = await load(input);
    await round(input, loaded);
    await projectChanges(harness.projection);
    await write(input, loaded);
    harness.projection.healings.length = 0;
    await projectChanges(harness.projection);
    expect(harness.projection.healings).not.toContain(`${told.user.userId}/${told.missionId}`);
  });

  it('cancelRequested on the running iteration ends its run, however long that had waited for a worker', async () => {
    const told = await mission({ nextRunAt: formatInstant(Date.now() - 20 * MINUTE_MS) });
    const input = runOf(told, { startedAtMs: Date.now() - 10 * MINUTE_MS });
    await load(input);
    await projectChanges(harness.projection);
    const [running] = await iterations(told);
    await edit(told, { iterations: [{ ...running, cancelRequested: true }] });
    await projectChanges(harness.projection);
    expect(harness.projection.cancelled).toContain(input.runId);
  });
});

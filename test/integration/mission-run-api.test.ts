import { createHash, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDatabase } from '#db/client.ts';
import { resumePlanning, stopPlanning } from '#db/planning-stop.ts';
import { replyWithText } from '#dev/scripted-gateway.ts';
import { missionAt } from '#dev/web-app.ts';
import { openDevice, waitUntilForgotten, type Device } from '#test/support/device.ts';
import { signIn, type ApiUser } from '#test/support/api-user.ts';
import { writePlaintextMissionOf } from '#test/support/granted-mission.ts';
import { startMissionSystem, type MissionSystem } from '#test/support/mission-system.ts';
import { replyOfTwoRounds, roundOf } from '#test/support/planner-scripts.ts';
import { waitUntil } from '#test/support/wait-until.ts';

interface Run {
  readonly runId: string;
  readonly state: string;
  readonly outcome: string | null;
  readonly live: { readonly phase: string; readonly round: number; readonly totalTokens: number } | null;
}

/** The gateway answers missions with this in their objective once the gate is opened. */
const GATED = 'wait for the gate';
/** Likewise, from the second round on. */
const GATED_LATER = 'wait in round two';
let gate = Promise.withResolvers<undefined>();

let system: MissionSystem;
let device: Device;
let ada: ApiUser;
let bob: ApiUser;
beforeAll(async () => {
  system = await startMissionSystem({
    script: async (request) => {
      if (request.bodyText.includes(GATED)) await gate.promise;
      if (request.bodyText.includes(GATED_LATER) && roundOf(request) === 2) await gate.promise;
      return request.bodyText.includes('say nothing') ? replyWithText('ok') : replyOfTwoRounds(request);
    },
  });
  device = openDevice(system.webApp, system.databases);
  ada = await signIn(system, await system.webApp.createUser());
  bob = await signIn(system, await system.webApp.createUser());
});
afterAll(async () => {
  gate.resolve(undefined);
  await system.close();
});

/** A mission of Ada that the projection has seen. */
async function mission(objective: string, fields: Readonly<Record<string, unknown>> = {}): Promise<string> {
  const missionId = await writePlaintextMissionOf(system.webApp, ada.user, objective, fields);
  await untilKnown(missionId);
  return missionId;
}

const untilKnown = (missionId: string): Promise<boolean> =>
  waitUntil('the projection knows the mission', async () => {
    const { statusCode } = await ada.ask('GET', `${encodeURIComponent(missionId)}/schedule`);
    return statusCode === 200;
  });

/** Requests within a second of the one before are one with it. */
const start = (missionId: string): Promise<string> =>
  waitUntil('a run is started', async () => {
    const response = await ada.ask('POST', `${encodeURIComponent(missionId)}/run`);
    return response.statusCode === 202 ? response.json<Run>().runId : null;
  });

const show = async (runId: string): Promise<Run> => (await ada.ask('GET', `runs/${runId}`)).json();

const untilEnded = (runId: string): Promise<Run> =>
  waitUntil('the run has ended', async () => {
    const run = await show(runId);
    return run.state === 'running' ? null : run;
  });

const of = (missionId: string) => ({ user: ada.user, missionId });

describe('run now', () => {
  it('starts a run that is shown live, refuses a second one and shows what it came to', async () => {
    gate = Promise.withResolvers();
    const missionId = await mission(GATED);
    const runId = await start(missionId);

    const live = await waitUntil('the run asks the model', async () => {
      const run = await show(runId);
      return run.live?.phase === 'calling-llm' ? run : null;
    });
    expect(live).toMatchObject({
      missionId,
      runId,
      trigger: 'run-now',
      state: 'running',
      outcome: null,
      finishedAt: null,
      live: { round: 1, totalTokens: 0 },
    });
    const refused = await ada.ask('POST', `${missionId}/run`);
    expect([refused.statusCode, refused.json()]).toMatchObject([409, { code: 'ALREADY_RUNNING' }]);

    gate.resolve(undefined);
    const ended = await untilEnded(runId);
    expect(ended).toMatchObject({
      state: 'completed',
      outcome: 'planned',
      reason: null,
      rounds: 2,
      steps: 1,
    });
    expect(ended).toMatchObject({
      live: null,
      durationMs: expect.any(Number) as number,
      totalTokens: expect.any(Number) as number,
    });
    const alike = await ada.ask('GET', `${missionId}/runs/${runId}`);
    expect(alike.json()).toEqual(ended);
    await device.waitForIterations(of(missionId));
  });

  it('shows the round that is asked, and what the rounds before it cost', async () => {
    gate = Promise.withResolvers();
    const runId = await start(await mission(GATED_LATER));
    const live = await waitUntil('the second round is shown', async () => {
      const run = await show(runId);
      return run.live?.round === 2 ? run.live : null;
    });
    expect(live.phase).toBe('calling-llm');
    expect(live.totalTokens).toBeGreaterThan(0);
    gate.resolve(undefined);
    expect(await untilEnded(runId)).toMatchObject({ outcome: 'planned', rounds: 2 });
  });

  it('is refused, and starts nothing, while an operator has stopped the planning of all missions', async () => {
    const missionId = await mission('stopped');
    const url = system.databases.urls.maintenance.sync;
    const operator = openDatabase({ url, applicationName: 'run-api-test', maxConnections: 1 });
    await stopPlanning(operator.system);
    const refused = await ada.ask('POST', `${missionId}/run`);
    await resumePlanning(operator.system);
    await operator.close();
    expect([refused.statusCode, refused.json()]).toMatchObject([503, { code: 'PLANNING_STOPPED' }]);
    await start(missionId);
    expect(await device.waitForIterations(of(missionId), 1)).toHaveLength(1);
  });

  it('twice gives two iterations, and two clicks at once are one run', async () => {
    const missionId = await mission('twice');
    const clicks = await Promise.all([1, 2].map(() => ada.ask('POST', `${missionId}/run`)));
    expect(clicks.map(({ statusCode }) => statusCode).sort()).toEqual([202, 409]);
    await device.waitForIterations(of(missionId), 1);
    await start(missionId);
    expect(await device.waitForIterations(of(missionId), 2)).toHaveLength(2);
  });

  it('is not held back by the slot of a run that was terminated', async () => {
    gate = Promise.withResolvers();
    const missionId = await mission(GATED);
    const dead = await start(missionId);
    await waitUntil('it holds the mission', async () => (await show(dead)).live?.phase === 'calling-llm');
    const { workflowId } = await executionOf(dead);
    await system.client.workflow.getHandle(workflowId, dead).terminate('by the test');
    gate.resolve(undefined);
    const next = await start(missionId);
    expect(await show(dead)).toMatchObject({ state: 'terminated', outcome: null, totalTokens: null });
    expect(await untilEnded(next)).toMatchObject({ outcome: 'planned' });
    await waitUntilForgotten(system.databases, missionId);
  });

  it('is refused for a mission that is paused, archived or done', async () => {
    const states = ['paused', 'archived', 'done'];
    const missions = await Promise.all(states.map((state) => mission('never', { state })));
    const answers = await Promise.all(missions.map((missionId) => ada.ask('POST', `${missionId}/run`)));
    for (const answer of answers) {
      expect([answer.statusCode, answer.json()]).toMatchObject([409, { code: 'MISSION_NOT_ACTIVE' }]);
    }
  });

  it('finds no mission that was deleted', async () => {
    const missionId = await mission('deleted');
    await system.webApp.update(ada.user, missionAt(missionId), { deletedAt: new Date().toISOString() });
    await waitUntil('it is unknown', async () => {
      const { statusCode } = await ada.ask('POST', `${missionId}/run`);
      return statusCode === 404;
    });
  });
});

async function executionOf(runId: string): Promise<{ workflowId: string }> {
  for await (const execution of system.client.workflow.list({ query: `RunId = '${runId}'` }))
    return execution;
  throw new Error('no such run');
}

describe('cancelling', () => {
  it('ends the run, and its iteration as cancelled; a second time there is nothing to cancel', async () => {
    gate = Promise.withResolvers();
    const missionId = await mission(GATED);
    const runId = await start(missionId);
    await waitUntil('the run asks the model', async () => (await show(runId)).live?.phase === 'calling-llm');
    const cancelled = await ada.ask('POST', `${missionId}/runs/${runId}/cancel`);
    expect([cancelled.statusCode, cancelled.json()]).toEqual([202, { runId }]);
    expect(await untilEnded(runId)).toMatchObject({ state: 'completed', outcome: 'cancelled' });
    const again = await ada.ask('POST', `runs/${runId}/cancel`);
    expect([again.statusCode, again.json()]).toMatchObject([409, { code: 'RUN_FINISHED' }]);
    expect(await device.iterations(of(missionId))).toMatchObject([
      { overallStatus: 'failed', plan: [], errorDetails: { name: 'run-cancelled' } },
    ]);
    gate.resolve(undefined);
  });
});

describe('the list of runs', () => {
  it('comes in pages, the newest first, also for an id that needs escaping', async () => {
    const missionId = `it's "m" \\' or 1=1 -- ${randomUUID()}`;
    const path = encodeURIComponent(missionId);
    await system.webApp.insert(ada.user, missionAt(missionId), {
      title: 'Plan',
      objective: 'say nothing',
      conceptMarkdown: '',
      state: 'active',
      cadence: { kind: 'manual' },
      inputs: [],
      iterations: [],
    });
    await untilKnown(missionId);
    const started: string[] = [];
    for (const count of [1, 2, 3]) {
      started.unshift(await start(missionId));
      await device.waitForIterations(of(missionId), count);
    }
    const listed = await waitUntil('visibility shows that all have ended', async () => {
      const { runs } = (await ada.ask('GET', `${path}/runs`)).json<{ runs: Run[] }>();
      return runs.length === 3 && runs.every(({ state }) => state === 'completed') ? runs : null;
    });
    expect(listed.map(({ runId }) => runId)).toEqual(started);
    expect(listed[0]).toMatchObject({ outcome: 'empty-plan', rounds: 1, steps: 0, trigger: 'run-now' });

    const paged: string[] = [];
    let next: string | null = '?limit=2';
    while (next !== null) {
      const page = await ada.ask('GET', `${path}/runs${next}`);
      const { runs, nextCursor } = page.json<{ runs: Run[]; nextCursor: string | null }>();
      paged.push(...runs.map(({ runId }) => runId));
      next = nextCursor === null ? null : `?limit=2&cursor=${nextCursor}`;
      const link = next === null ? undefined : `<runs${next}>; rel="next"`;
      expect(page.headers['link']).toBe(link);
    }
    expect(paged).toEqual(started);
  });

  it('is empty for a mission that never ran, and knows no cursor but its own', async () => {
    const missionId = await mission('never');
    const listed = await ada.ask('GET', `${missionId}/runs?limit=many`);
    expect(listed.json()).toEqual({ runs: [], nextCursor: null });
    // A checksum can be made by anybody; a page token that the server never gave out must not reach it.
    const [userId, token] = [ada.user.userId, Buffer.from('{"CloseTime":"x"}')];
    const checksum = createHash('sha256')
      .update(JSON.stringify([userId, missionId]))
      .update(token)
      .digest();
    const forged = [8, 16, 32].map((length) =>
      Buffer.concat([checksum.subarray(0, length), token]).toString('base64url'),
    );
    for (const cursor of ['x', 'AAAAAAAAAAAAAAAA', '%00', '', ...forged]) {
      const response = await ada.ask('GET', `${missionId}/runs?cursor=${cursor}`);
      expect([response.statusCode, response.json()]).toMatchObject([400, { code: 'BAD_REQUEST' }]);
    }
  });
});

describe('what belongs to somebody else, or to nobody', () => {
  it('is not found by any of the routes', async () => {
    const missionId = await mission('say nothing');
    const runId = await start(missionId);
    await device.waitForIterations(of(missionId));
    const nowhere = randomUUID();
    const answers = await Promise.all([
      ...[
        bob.ask('POST', `${missionId}/run`),
        bob.ask('GET', `${missionId}/runs`),
        bob.ask('GET', `${missionId}/runs/${runId}`),
        bob.ask('GET', `runs/${runId}`),
        bob.ask('POST', `runs/${runId}/cancel`),
        bob.ask('POST', `${missionId}/runs/${runId}/cancel`),
        ada.ask('GET', `${nowhere}/runs/${runId}`),
        ada.ask('GET', `runs/${nowhere}`),
        ada.ask('POST', `runs/${nowhere}/cancel`),
      ],
      ...['no-uuid', `${runId}'`, runId.toUpperCase()].map((id) =>
        ada.ask('GET', `runs/${encodeURIComponent(id)}`),
      ),
    ]);
    for (const answer of answers) {
      expect([answer.statusCode, answer.json()]).toMatchObject([404, { code: 'NOT_FOUND' }]);
    }
    expect(await show(runId)).toMatchObject({ state: 'completed' });
  });
});

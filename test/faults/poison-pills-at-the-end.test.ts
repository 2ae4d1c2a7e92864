import { readFileSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';
import { formatInstant } from '#domain/base/instant.ts';
import { RUNNER_TASK_QUEUE, SWEEP_RUNS_WORKFLOW_TYPE } from '#temporal/messages.ts';
import { startRun, writePlaintextMission, type WrittenMission } from '#test/support/granted-mission.ts';
import { query } from '#test/support/inspect.ts';
import { SERVICE_KEY } from '#test/support/mission-system.ts';
import {
  around,
  expectGivenUp,
  GIVEN_UP,
  outcomesOf,
  setUpPoisonPills,
  stops,
  supervise,
  system,
  WORDS,
} from '#test/support/poison-pills.ts';
import { countLeftovers, NOTHING_LEFT } from '#test/support/stored-rows.ts';
import type { SupervisedWorker } from '#test/support/supervised-worker.ts';
import { waitUntil } from '#test/support/wait-until.ts';
import { startSystemProcess } from '#test/support/worker-process.ts';

vi.setConfig({ testTimeout: 300_000 });
setUpPoisonPills();

/** Nobody answers there. */
const UNREACHABLE = 'http://127.0.0.1:9';
const HANGING_WORDS = 'OBJECTIVE-OF-A-PILL-THAT-HANGS';

describe('a mission that kills its runner when its outcome is to be written', () => {
  it('ends after three dead workers as stuck, where an operator finds it', async () => {
    const pill = await writePlaintextMission(system.webApp, WORDS);
    const runner = await supervise('runner', {
      POISON_USER: pill.user.userId,
      POISON_STAGE: 'writeIteration',
    });
    const run = await startRun(system.client, pill);
    await expect(run.result()).rejects.toMatchObject({
      cause: { type: 'RUN_STUCK', message: 'stuck while finalizing: WORKER_LOST' },
    });
    expect(runner.deaths()).toBe(3);
    const { typedSearchAttributes } = await run.describe();
    expect(JSON.stringify(typedSearchAttributes)).toContain('stuck');
    expect(await countLeftovers(system.databases, pill.missionId)).toEqual(NOTHING_LEFT);
  });
});

describe('a mission that kills its runner when it is read and when its outcome is to be written', () => {
  it('is put aside: no pass starts it again for the same instant', async () => {
    const nextRunAt = formatInstant(Date.now() - 60_000);
    const pill = await writePlaintextMission(system.webApp, WORDS, { nextRunAt });
    const runner = await supervise('runner', {
      POISON_USER: pill.user.userId,
      POISON_STAGE: 'loadRun,writeIteration',
    });
    const projection = await startSystemProcess('projection', around);
    stops.push(() => projection.stop());
    const runs = async () => {
      const found = [];
      for await (const run of system.client.workflow.list({ query: `ManaMissionId = '${pill.missionId}'` }))
        found.push(JSON.stringify(run.typedSearchAttributes).includes('stuck') ? 'stuck' : run.status.name);
      return found;
    };
    await waitUntil('its run is stuck', async () => (await runs()).includes('stuck'), {
      deadlineMs: 240_000,
    });
    for (let pass = 0; pass < 2; pass += 1) {
      const tick = await system.api.inject({
        method: 'POST',
        url: '/internal/tick',
        headers: { 'x-service-key': SERVICE_KEY },
      });
      expect(tick.statusCode).toBe(200);
      expect(tick.json()).toMatchObject({ started: 0 });
    }
    expect(await runs()).toEqual(['stuck']);
    expect(runner.deaths()).toBe(6);
    expect(await countLeftovers(system.databases, pill.missionId)).toEqual(NOTHING_LEFT);
  });
});

describe('a mission that hangs the event loop of its runner', () => {
  it('is given up after three, while each says so and ends itself; the others run elsewhere', async () => {
    const pill = await writePlaintextMission(system.webApp, HANGING_WORDS);
    const victims = await Promise.all(
      [1, 2, 3, 4].map((n) => writePlaintextMission(system.webApp, `OBJECTIVE-BESIDE-A-HANG-${n}`)),
    );
    const poison = {
      ...{ POISON_USER: pill.user.userId, POISON_STAGE: 'gateway', POISON_WORDS: HANGING_WORDS },
      POISON_KIND: 'hang',
    };
    const [first, ...others] = [
      await supervise('runner', poison),
      await supervise('runner', poison),
      await supervise('runner', poison),
    ];
    const runners = [first, ...others];
    const run = await startRun(system.client, pill);
    const hanging = await waitUntil('one hangs', () => runners.find((one) => one.poisonings() > 0));
    const url = `${hanging.healthUrl()}/health`;
    const healthOf = () => fetch(url, { signal: AbortSignal.timeout(1_000) });
    const ofVictims = outcomesOf(victims);
    const answer = await waitUntil('it is unhealthy', async () => {
      const health = await healthOf();
      return health.status === 503 ? health : null;
    });
    expect(await answer.json()).toMatchObject({ ok: false, status: 'stalled' });
    expect((await ofVictims).map(({ outcome }) => outcome)).toEqual(victims.map(() => 'planned'));
    expect(await run.result()).toMatchObject(GIVEN_UP);
    // One that hangs may still be handed an attempt, by the SDK's own threads: that one goes silent as well.
    expect(runners.reduce((sum, one) => sum + one.poisonings(), 0)).toBeLessThanOrEqual(3);
    await expectGivenUp(pill);
    await waitUntil('it has ended itself', () => hanging.deaths() > 0);
    expect(readFileSync(hanging.logFile, 'utf8')).toContain(
      'the event loop does not come back; the process ends',
    );
  });
});

describe('a terminated run whose claim kills the worker that sweeps it', () => {
  it('costs three workers and is put aside where an operator reads of it; the runs behind it are swept', async () => {
    const missions = await Promise.all([0, 1].map(() => writePlaintextMission(system.webApp, WORDS)));
    const [pill] = missions;
    const honest = await superviseTerminating(missions);
    await honest.stop();
    const runner = await supervise('runner', {
      POISON_USER: pill?.user.userId ?? '',
      POISON_STAGE: 'sweepRuns',
    });
    const sweep = () =>
      system.client.workflow.execute<() => Promise<{ swept: number }>>(SWEEP_RUNS_WORKFLOW_TYPE, {
        ...{ workflowId: `sweep-${Math.random()}`, taskQueue: RUNNER_TASK_QUEUE, args: [] },
      });
    await sweep();
    expect(runner.deaths()).toBe(3);
    for (const { missionId } of missions)
      expect(await countLeftovers(system.databases, missionId)).toEqual(NOTHING_LEFT);
    expect(readFileSync(runner.logFile, 'utf8')).toContain('a run that has ended could not be swept');
    expect(await sweep()).toEqual({ swept: 0 });
    expect(runner.deaths()).toBe(3);
  });

  /** A runner whose runs hang at the model until they are terminated, eleven minutes ago. */
  async function superviseTerminating(missions: readonly WrittenMission[]): Promise<SupervisedWorker> {
    const worker = await supervise('runner', {
      POISON_STAGE: 'gateway',
      POISON_WORDS: 'nobody',
      MANA_LLM_URL: UNREACHABLE,
    });
    const runs = await Promise.all(missions.map((mission) => startRun(system.client, mission)));
    const { superuser } = system.databases;
    await waitUntil('both have claimed', async () => {
      const slots = await query(
        superuser.syncUrl,
        `select 1 from mana_ai.run_slots where mission_id = any($1) and iteration_id <> ''`,
        [missions.map(({ missionId }) => missionId)],
      );
      return slots.length === 2;
    });
    for (const run of runs) await run.terminate();
    await query(
      superuser.syncUrl,
      `update mana_ai.run_slots set claimed_at = claimed_at - interval '11 minutes' where mission_id = any($1)`,
      [missions.map(({ missionId }) => missionId)],
    );
    return worker;
  }
});

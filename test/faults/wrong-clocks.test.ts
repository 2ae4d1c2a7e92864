import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { surroundingsOf } from './surroundings.ts';
import { formatInstant } from '#domain/base/instant.ts';
import { writeGrantedMission, writePlaintextMission } from '#test/support/granted-mission.ts';
import { startMissionSystem, type MissionSystem } from '#test/support/mission-system.ts';
import { replyOfTwoRounds, requestsOf } from '#test/support/planner-scripts.ts';
import { readWrittenIterations } from '#test/support/stored-rows.ts';
import { waitUntil } from '#test/support/wait-until.ts';
import { startSystemProcess, type Surroundings, type SystemProcess } from '#test/support/worker-process.ts';

const MINUTE_MS = 60_000;

let system: MissionSystem;
let around: Surroundings;
beforeAll(async () => {
  system = await startMissionSystem({ parts: [], script: replyOfTwoRounds });
  around = await surroundingsOf(system);
});
const processes: SystemProcess[] = [];
afterEach(async () => {
  await Promise.all(processes.splice(0).map((running) => running.kill9()));
});
afterAll(() => system.close());

/** For every thread of a process, before it loads anything. */
const withClockOff = (byMs: number) => ({
  NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(`
    const { now } = Date;
    globalThis.Date = class extends Date {
      constructor(...parts) { if (parts.length === 0) super(now() + ${byMs}); else super(...parts); }
      static now() { return now() + ${byMs}; }
    };`)}`,
});

type Iteration = Readonly<Record<'overallStatus' | 'startedAt' | 'finishedAt', string>>;

/** Its iteration, and what every run of it came to. */
async function outcomeOf(missionId: string) {
  const written = await waitUntil('the mission has run', async () => {
    const [iterations] = await readWrittenIterations(system.databases, missionId);
    return iterations as readonly Iteration[] | undefined;
  });
  const outcomes: unknown[] = [];
  for await (const run of system.client.workflow.list({ query: `ManaMissionId = '${missionId}'` }))
    outcomes.push(await system.client.workflow.getHandle(run.workflowId, run.runId).result());
  return { written, outcomes };
}

describe.each([10, -10])('processes whose clocks are %i min off', (minutes) => {
  it('are ready, and run what is due when it is, under grants that end when they should', async () => {
    const off = withClockOff(minutes * MINUTE_MS);
    const [api, worker] = await Promise.all([
      startSystemProcess('api', around, off),
      startSystemProcess('all', around, off),
    ]);
    processes.push(api, worker);
    const mint = async (userId: string, body: unknown) => {
      const response = await fetch(`${api.url()}/api/v1/me/ai-mission-grant`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${await system.issuer.issueToken({ sub: userId })}`,
          'content-type': 'application/json',
        },
        body: JSON.stringify(body),
      });
      return (await response.json()) as { readonly issuedAt: string };
    };
    const nowMs = Date.now();
    const dueAtMs = nowMs + 2_000;
    let issuedAt = '';
    const dueObjective = `OBJECTIVE-DUE-SOON-${minutes}`;
    const due = await writeGrantedMission(
      {
        webApp: system.webApp,
        requestGrant: async (userId, body) => {
          const grant = await mint(userId, body);
          issuedAt = grant.issuedAt;
          return grant;
        },
      },
      dueObjective,
      { nextRunAt: formatInstant(dueAtMs) },
    );
    const passedObjective = `OBJECTIVE-PASSED-${minutes}`;
    const passed = await writePlaintextMission(system.webApp, passedObjective, {
      nextRunAt: formatInstant(nowMs - 5_000),
    });
    expect(Math.abs(Date.parse(issuedAt) - nowMs)).toBeLessThan(60_000);

    for (const [mission, objective] of [
      [passed, passedObjective],
      [due, dueObjective],
    ] as const) {
      const { written, outcomes } = await outcomeOf(mission.missionId);
      expect(written).toHaveLength(1);
      expect(written[0]).toMatchObject({ overallStatus: 'awaiting-review' });
      expect(Date.parse(written[0]?.startedAt ?? '') - nowMs).toBeGreaterThan(mission === due ? 1_900 : 0);
      expect(Date.parse(written[0]?.finishedAt ?? '')).toBeLessThan(Date.now() + 1_000);
      // None came before its time, and found that it was not due.
      expect(outcomes).toEqual([expect.objectContaining({ outcome: 'planned' })]);
      expect(requestsOf(system.gateway.requests, objective, 1)).toHaveLength(1);
    }
    const response = await fetch(`${worker.url()}/ready`);
    expect({ status: response.status, body: await response.json() }).toMatchObject({ status: 200 });
  });
});

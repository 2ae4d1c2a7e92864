import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hang } from '#dev/scripted-gateway.ts';
import { cancelRunSignal, RUNNER_TASK_QUEUE, SWEEP_RUNS_WORKFLOW_TYPE } from '#temporal/messages.ts';
import { surroundingsOf } from '#test/faults/surroundings.ts';
import {
  startRun,
  writePlaintextMission,
  type RunHandle,
  type WrittenMission,
} from '#test/support/granted-mission.ts';
import { query } from '#test/support/inspect.ts';
import { startMissionSystem, type MissionSystem } from '#test/support/mission-system.ts';
import { replyOfTwoRounds, requestsOf } from '#test/support/planner-scripts.ts';
import { countLeftovers, NOTHING_LEFT } from '#test/support/stored-rows.ts';
import { waitUntil } from '#test/support/wait-until.ts';
import { commitWindow, watchProcess } from '#test/support/watched-process.ts';
import type { Window } from '#test/support/window-proxy.ts';
import { startSystemProcess, type SystemProcess } from '#test/support/worker-process.ts';

/**
 * Commits that end a claim without a plan: the process is killed with -9 right before and right behind each of them, and another one
 * takes over. Those of runs that plan are in crash-windows.test.ts.
 */
const MOMENTS = ['before', 'after'] as const;
const CLAIM_ENDS = ['cancelled', 'taken over', 'swept'] as const;
type ClaimEnd = (typeof CLAIM_ENDS)[number];

const CODE_OF = {
  cancelled: 'run-cancelled',
  'taken over': 'run-interrupted',
  swept: 'run-interrupted',
} as const;

/** Objectives of missions whose model does not answer yet. */
const silent = new Set<string>();
let system: MissionSystem;
let superuser: (text: string, values?: readonly unknown[]) => Promise<Readonly<Record<string, unknown>>[]>;
const processes: SystemProcess[] = [];

beforeAll(async () => {
  system = await startMissionSystem({
    parts: [],
    script: (request) =>
      [...silent].some((objective) => request.bodyText.includes(objective))
        ? hang()
        : replyOfTwoRounds(request),
  });
  superuser = (text, values) => query(system.databases.superuser.syncUrl, text, values);
});
afterAll(async () => {
  await Promise.all(processes.map((running) => running.stop()));
  await system.close();
});

interface Ended {
  readonly mission: WrittenMission;
  readonly run: RunHandle;
  readonly window: Window;
  /** What was started to end the claim, besides the run itself. */
  readonly heir: { result(): Promise<unknown> } | null;
}

/** Ids, states and codes of all that was written of a mission's iterations, row by row. */
const rowsOf = ({ missionId }: WrittenMission) =>
  superuser(
    `select id, jsonb_path_query_array(data, '$.iterations[*].overallStatus') as states,
        data #>> '{iterations,0,errorDetails,name}' as code
      from public.sync_changes where record_id = $1 and client_id = 'mana-ai-runner' order by created_at`,
    [missionId],
  );

describe.each(MOMENTS)(
  'a process that dies right %s the commit that ends a claim without a plan',
  (moment) => {
    const ended = new Map<ClaimEnd, Ended>();
    const committed = new Map<ClaimEnd, unknown>();

    beforeAll(async () => {
      const around = await surroundingsOf(system);
      const runner = await watchProcess('runner', around);
      processes.push(runner.process);
      const begun = await Promise.all(
        CLAIM_ENDS.map(async (how) => {
          const objective = `OBJECTIVE-${moment}-${how}`;
          silent.add(objective);
          const mission = await writePlaintextMission(system.webApp, objective);
          const run = await startRun(system.client, mission);
          await waitUntil(
            'its model is asked',
            () => requestsOf(system.gateway.requests, objective, 1).length > 0,
          );
          return { how, mission, run };
        }),
      );
      silent.clear();
      for (const { how, mission, run } of begun) {
        const window = commitWindow('runner', `a claim's end: ${how}`, {
          moment,
          awaited: `"name":"${CODE_OF[how]}"`,
        });
        runner.database.arm([window]);
        ended.set(how, { mission, run, window, heir: await endClaim(how, mission, run) });
        await runner.untilIn([window]);
      }
      for (const [how, { mission }] of ended) committed.set(how, (await rowsOf(mission)).length);
      const stood = await runner.kill();
      expect(stood.toSorted()).toEqual([...ended.values()].map(({ window }) => window.name).sort());
      const next = await startSystemProcess('runner', around);
      processes.push(next);
      for (const { heir } of ended.values()) await heir?.result();
      await ended.get('cancelled')?.run.result();
      await next.stop();
    });

    async function endClaim(
      how: ClaimEnd,
      mission: WrittenMission,
      run: RunHandle,
    ): Promise<{ result(): Promise<unknown> } | null> {
      if (how === 'cancelled') {
        await run.signal(cancelRunSignal);
        return null;
      }
      await run.terminate();
      // Under the same id it would be the run that goes on, reset.
      if (how === 'taken over')
        return startRun(system.client, mission, { workflowId: `next:${mission.missionId}` });
      await superuser(
        `update mana_ai.run_slots set claimed_at = claimed_at - interval '11 minutes' where mission_id = $1`,
        [mission.missionId],
      );
      return system.client.workflow.start<() => Promise<unknown>>(SWEEP_RUNS_WORKFLOW_TYPE, {
        ...{ workflowId: `sweep-${moment}`, taskQueue: RUNNER_TASK_QUEUE, args: [] },
      });
    }

    it.each(CLAIM_ENDS)('ends it once, and leaves nothing: %s', async (how) => {
      const { mission, heir } = ended.get(how) ?? expect.unreachable('it was ended');
      expect(committed.get(how)).toBe(moment === 'before' ? 1 : 2);
      const rows = await rowsOf(mission);
      const [claimed, end, ...more] = rows;
      expect(claimed).toMatchObject({ states: ['running'], code: null });
      expect(end).toMatchObject({ states: ['failed'], code: CODE_OF[how] });
      // The run that took the mission over claims and ends an iteration of its own.
      expect(more.map(({ states }) => states)).toEqual(
        how === 'taken over'
          ? [
              ['failed', 'running'],
              ['failed', 'awaiting-review'],
            ]
          : [],
      );
      expect(await countLeftovers(system.databases, mission.missionId)).toEqual(NOTHING_LEFT);
      if (how === 'swept') expect(await heir?.result()).toEqual({ swept: moment === 'before' ? 1 : 0 });
    });
  },
);

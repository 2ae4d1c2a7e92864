import { expect, it } from 'vitest';
import type { MissionRun } from '#runs/run-execution.ts';
import { judgeRuns } from './last-runs.ts';

const run = (hour: number, state: MissionRun['state'], outcome: MissionRun['outcome']): MissionRun => ({
  ...{ workflowId: 'w', runId: `r${hour}`, missionId: 'm', trigger: 'schedule', state, outcome },
  ...{ startedAt: new Date(Date.UTC(2026, 10, 29, hour)), finishedAt: null, result: null },
});
const statuses = (...runs: MissionRun[]): string[] => judgeRuns(runs).map(({ status }) => status);

it('a stuck run is a fault until a later one has ended in order', () => {
  const stuck = run(2, 'failed', 'stuck');
  expect(judgeRuns([stuck])).toEqual([
    {
      status: 'fault',
      found: '2026-11-29T02:00:00.000Z stuck, run r2',
      advice: 'see docs/operations.md, A stuck mission',
    },
  ]);
  expect(statuses(run(3, 'running', null), stuck, run(1, 'completed', 'planned'))).toEqual([
    'ok',
    'fault',
    'ok',
  ]);
  expect(statuses(run(3, 'completed', 'planned'), stuck)).toEqual(['ok', 'warning']);
  expect(statuses(run(3, 'terminated', null), stuck)).toEqual(['warning', 'fault']);
});

import { describe, expect, it } from 'vitest';
import { missionRunsQuery, openMissionRunsQuery, runQuery } from './run-queries.ts';

const RUNS = "WorkflowType = 'missionRun'";

describe('visibility queries', () => {
  it('name user and mission, quotes doubled', () => {
    const query = `${RUNS} AND ManaUserId = 'u1' AND ManaMissionId = 'it''s'`;
    expect(missionRunsQuery('u1', "it's")).toBe(query);
    expect(openMissionRunsQuery('u1', "it's")).toBe(`${query} AND ExecutionStatus = 'Running'`);
    expect(runQuery('r1')).toBe(`${RUNS} AND RunId = 'r1'`);
  });

  it.each(['"', '\\', '\n', "' OR \\"])('take the encoded workflow id where %j stands in an id', (text) => {
    const workflowId = `mission:u1:${encodeURIComponent(text).replaceAll("'", "''")}`;
    expect(missionRunsQuery('u1', text)).toBe(`${RUNS} AND WorkflowId STARTS_WITH '${workflowId}'`);
  });
});

import { describe, expect, it } from 'vitest';
import { missionRunsQuery, openMissionRunsQuery, runQuery, userExecutionsQueries } from './run-queries.ts';

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

  it('of all that Temporal has of a user go by ids that we made, and by the attribute where it can be matched', () => {
    const schedulers = "TemporalNamespaceDivision = 'TemporalScheduler' AND";
    const byIds = (encoded: string) => [
      `WorkflowId STARTS_WITH 'mission:${encoded}:'`,
      `WorkflowId STARTS_WITH 'heal:${encoded}:'`,
      `${schedulers} WorkflowId STARTS_WITH 'temporal-sys-scheduler:mission:${encoded}:'`,
    ];
    const byAttribute = ["ManaUserId = 'u''1'", `${schedulers} ManaUserId = 'u''1'`];
    expect(userExecutionsQueries("u'1")).toEqual([...byIds("u''1"), ...byAttribute]);
    expect(userExecutionsQueries('a"b')).toEqual(byIds('a%22b'));
  });
});

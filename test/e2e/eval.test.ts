import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tokensIn, tokensOfTools } from '#bench/tokens/count.ts';
import { createTemporaryDirectory } from '#dev/guardian.ts';
import { spawnProcess } from '#dev/processes.ts';
import type { RecordedRequest, ScriptedResponse } from '#dev/scripted-gateway.ts';
import type { EvalMission } from '#eval/mission.ts';
import { MISSIONS } from '#eval/missions.ts';
import { badPlanner } from '#eval/planners/bad.ts';
import { goodPlanner } from '#eval/planners/good.ts';
import { reportOf, type EvalReport } from '#eval/report.ts';
import { Exchanges, runMissions } from '#eval/run.ts';
import { scoreOf } from '#eval/score.ts';
import { startMissionSystem, type MissionSystem } from '#test/support/mission-system.ts';

/** Small enough for a model on one's own machine. */
const WINDOW_TOKENS = 8_000;

type Planner = (request: RecordedRequest) => ScriptedResponse;

let system: MissionSystem;
let planner: Planner;
let exchanges: Exchanges;
beforeAll(async () => {
  system = await startMissionSystem({
    planner: { contextTokens: WINDOW_TOKENS },
    script: (request) => {
      const response = planner(request);
      if (response.kind === 'http') exchanges.add(request, response.body);
      return response;
    },
  });
});
afterAll(() => system.close());

/** All at once, through the whole service. */
async function evaluate(by: Planner, missions: readonly EvalMission[]): Promise<EvalReport> {
  planner = by;
  exchanges = new Exchanges(missions);
  const { webApp, databases } = system;
  const outcomes = await runMissions(
    {
      ...{ webApp, exchanges, superuserUrl: databases.superuser.syncUrl },
      requestGrant: (userId, body) => system.requestGrant(userId, body),
    },
    missions,
    { atOnce: missions.length, deadlineMs: 60_000, say: () => undefined },
  );
  const scores = outcomes.map((outcome) => scoreOf(outcome, Date.now()));
  return reportOf(scores, { model: 'scripted', seconds: 0 });
}

describe('the thirty missions', () => {
  it('are all kept by a good planner, in a window of 8,000 tokens that is never exceeded', async () => {
    const report = await evaluate(goodPlanner, MISSIONS);
    expect(report.missions.flatMap(({ id, broken }) => broken.map((each) => ({ id, ...each })))).toEqual([]);
    expect(report.score).toBe(100);
    expect(report.rules).toMatchObject({ outcome: { of: 30 }, feedback: { of: 6 }, ids: { of: 26 } });
    expect(report.tokens).toBeGreaterThan(0);
    // With the tokenizer, as a provider would count.
    const asked = system.gateway.requests.map(({ body, bodyText }) => {
      const { max_tokens: maxTokens = 0 } = JSON.parse(bodyText) as { readonly max_tokens?: number };
      return tokensIn(JSON.stringify(body.messages)) + tokensOfTools(body.tools) + maxTokens;
    });
    expect(asked.length).toBeGreaterThan(50);
    expect(Math.max(...asked)).toBeLessThanOrEqual(WINDOW_TOKENS);
  });

  it('are told from those of a bad one: no rule of what it does wrong is kept', async () => {
    // Each takes all rounds that there are, so every third one has to do.
    const some = MISSIONS.filter((_, index) => index % 3 === 0);
    const { rules, score, missions } = await evaluate(badPlanner, some);
    expect(new Set(some.map(({ kind }) => kind)).size).toBeGreaterThan(4);
    for (const rule of ['ids', 'dates', 'values', 'tools', 'duplicates', 'language', 'rounds'] as const)
      expect([rule, rules[rule]]).toEqual([rule, { kept: 0, of: some.length }]);
    expect(rules.plan.kept).toBeLessThan(some.length / 2);
    expect(score).toBeLessThan(30);
    // The service let none of it into a plan, but for words.
    const why = missions.flatMap(({ broken }) => broken.map((each) => each.why));
    expect(why.filter((each) => each.includes('in the plan'))).toEqual([]);
  });
});

describe('yarn eval', () => {
  const directory = createTemporaryDirectory('mana-eval-');
  afterAll(() => directory.remove());

  it('starts the service, prints a table and writes JSON; below the wanted score it fails', async () => {
    const [logFile, jsonFile] = [join(directory.path, 'eval.log'), join(directory.path, 'eval.json')];
    const cli = process.env['TEMPORAL_CLI'];
    const command = await spawnProcess({
      ...{ name: 'yarn eval', command: process.execPath, cwd: resolve(import.meta.dirname, '../..') },
      args: [
        ...['scripts/eval.ts', '--json', jsonFile, '--scripted', 'bad', '--min-score', '50'],
        ...['--only', 'de-tick-off,en-denied'],
      ],
      env: cli === undefined ? {} : { TEMPORAL_CLI: cli },
      logFile,
    });
    const { code } = await command.exited;
    const output = readFileSync(logFile, 'utf8');
    expect(code, output).toBe(1);
    expect(output).toMatch(/de-tick-off +inputs +\S+ +\d steps/);
    expect(output).toMatch(/: \d+(?:\.\d)? % of what the rules ask; 2 missions, \d+ rounds, \d+ tokens/);
    const report = JSON.parse(readFileSync(jsonFile, 'utf8')) as EvalReport;
    expect(report).toMatchObject({ model: 'scripted/planner', rules: { ids: { kept: 0, of: 2 } } });
    expect(report.score).toBeLessThan(50);
  });
});

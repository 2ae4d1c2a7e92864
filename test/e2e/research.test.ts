import proto from '@temporalio/proto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  articles,
  completed,
  feeds,
  startScriptedResearch,
  submitted,
  taskState,
  type ScriptedResearch,
} from '#dev/scripted-research.ts';
import { hang } from '#dev/scripted-responses.ts';
import { RUNNER_TASK_QUEUE } from '#temporal/messages.ts';
import { surroundingsOf } from '#test/faults/surroundings.ts';
import {
  startRun,
  writeGrantedMission,
  writePlaintextMission,
  type RunHandle,
  type WrittenMission,
} from '#test/support/granted-mission.ts';
import { SERVICE_KEY, startMissionSystem, type MissionSystem } from '#test/support/mission-system.ts';
import { replyOfTwoRounds } from '#test/support/planner-scripts.ts';
import { countLeftovers, NOTHING_LEFT, readWrittenIterations } from '#test/support/stored-rows.ts';
import { waitUntil } from '#test/support/wait-until.ts';
import { startSystemProcess, type SystemProcess } from '#test/support/worker-process.ts';

const SHALLOW = 'Finde OBJEKTIV-SHALLOW';
const PENDING = 'Mache eine umfassende Recherche zu OBJEKTIV-PENDING';
const CUT_OFF = 'Mache eine tiefe Recherche zu OBJEKTIV-CUT-OFF';
const OBJECTIVES = [SHALLOW, PENDING, CUT_OFF];
const ARTICLE = { url: 'https://news.example/1', title: 'Neues', excerpt: 'AUSZUG-DES-ARTIKELS' };
const REPORT = 'BERICHT-DER-RECHERCHE';

let system: MissionSystem;
let research: ScriptedResearch;
const runners: SystemProcess[] = [];
const told = new Map<string, { readonly mission: WrittenMission; readonly run: RunHandle }>();

// One killed process for all: recovery takes a heartbeat timeout, and one is enough.
beforeAll(async () => {
  const after = { kill: false };
  research = await startScriptedResearch({
    serviceKey: SERVICE_KEY,
    script: ({ route, body }) => {
      if (route === 'discover') return feeds('https://news.example/feed');
      if (route === 'search') return articles(ARTICLE);
      if (route === 'submit') return JSON.stringify(body).includes('CUT-OFF') ? hang() : submitted('task-1');
      return after.kill
        ? completed(REPORT, [{ url: 'https://source.example', title: 'Quelle' }])
        : taskState('running');
    },
  });
  system = await startMissionSystem({ parts: ['vault'], script: replyOfTwoRounds });
  const around = await surroundingsOf(system);
  const startRunner = async (): Promise<void> => {
    const started = await startSystemProcess('runner', around, {
      MANA_API_URL: research.url,
      MANA_RESEARCH_URL: research.url,
      DEEP_RESEARCH_ENABLED: 'true',
      PLANNER_ROUNDS_PER_SECOND: '50',
    });
    runners.push(started);
  };
  await startRunner();
  const write = async (objective: string, mission: WrittenMission): Promise<void> => {
    told.set(objective, { mission, run: await startRun(system.client, mission) });
  };
  await write(PENDING, await writeGrantedMission(system, PENDING));
  await write(CUT_OFF, await writePlaintextMission(system.webApp, CUT_OFF));
  await waitUntil('one task was asked for and is to be asked for again', async () => {
    const { raw } = (await told.get(PENDING)?.run.describe()) ?? {};
    return raw?.pendingActivities?.some(({ attempt }) => (attempt ?? 0) > 1);
  });
  await waitUntil('the runner has said so', () => runners[0]?.output().includes('RESEARCH_PENDING'));
  await waitUntil('the other task has arrived', () => research.asked('submit').length === 2);
  await runners[0]?.kill9();
  after.kill = true;
  await startRunner();
  await write(SHALLOW, await writePlaintextMission(system.webApp, SHALLOW));
  for (const { run } of told.values()) expect((await run.result()).outcome).toBe('planned');
});

afterAll(async () => {
  await Promise.all(runners.map((runner) => runner.stop()));
  await system.close();
  await research.close();
});

const missionOf = (objective: string): WrittenMission =>
  told.get(objective)?.mission ?? expect.fail('the mission was not written');
const promptOf = (objective: string): string => {
  const asked = system.gateway.requests.filter(({ bodyText }) => bodyText.includes(objective));
  return String(asked[0]?.body.messages[1]?.['content']);
};
const summaryOf = async (objective: string): Promise<string> => {
  const [iterations] = await readWrittenIterations(system.databases, missionOf(objective).missionId);
  return String((iterations?.[0] as { readonly summary?: unknown } | undefined)?.summary);
};
const submissionsOf = (objective: string): number =>
  research.asked('submit').filter(({ body }) => JSON.stringify(body).includes(objective)).length;

it('shallow research, wanted by the words of the mission, stands in the prompt as data', () => {
  expect(promptOf(SHALLOW)).toMatch(/<<<\w+ research\n[^<]*AUSZUG-DES-ARTIKELS[^<]*>>>/);
  expect(promptOf(SHALLOW)).toContain(ARTICLE.url);
});

it('a deep task outlives the worker that submitted it: one submission, and its report stands in the prompt', () => {
  expect(submissionsOf(PENDING)).toBe(1);
  expect(research.asked('state').map(({ taskId }) => taskId)).toContain('task-1');
  expect(promptOf(PENDING)).toMatch(
    new RegExp(`<<<\\w+ research\n[^<]*${REPORT}[^<]*https://source.example`),
  );
  expect(system.gateway.requests.filter(({ bodyText }) => bodyText.includes(PENDING))).toHaveLength(2);
});

it('a deep task whose worker died while it was submitted is never submitted again; model and user are told', async () => {
  expect(submissionsOf(CUT_OFF)).toBe(1);
  expect(promptOf(CUT_OFF)).toContain('sie kam nicht zustande');
  expect(await summaryOf(CUT_OFF)).toMatch(/Recherche/);
  expect(await summaryOf(PENDING)).not.toMatch(/Recherche/);
});

it('the server keeps the configured rate of what goes out, for all runners together', async () => {
  const { effectiveRateLimit } = await system.client.workflowService.describeTaskQueue({
    namespace: system.namespace,
    taskQueue: { name: RUNNER_TASK_QUEUE },
    taskQueueType: proto.temporal.api.enums.v1.TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
    reportConfig: true,
  });
  expect(effectiveRateLimit?.requestsPerSecond).toBe(50);
});

it('each of the runs leaves one iteration and nothing else, and no log holds what was asked or found', async () => {
  for (const [objective, { mission }] of told) {
    const written = await readWrittenIterations(system.databases, mission.missionId);
    expect(written.map((iterations) => iterations.length)).toEqual([1]);
    // That a deep task was submitted is remembered, so that nobody pays for it twice.
    const remembered = submissionsOf(objective);
    expect(await countLeftovers(system.databases, mission.missionId)).toEqual({
      ...NOTHING_LEFT,
      research_tasks: remembered,
    });
  }
  const logs = [...runners.map((runner) => runner.output()), ...system.logLines].join('\n');
  expect(logs).toContain('RESEARCH_PENDING');
  for (const text of [...OBJECTIVES, REPORT, ARTICLE.excerpt, 'task-1', SERVICE_KEY])
    expect(logs).not.toContain(text);
});

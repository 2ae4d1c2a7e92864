import { endsAs, type Execution, type Scenario } from './scenario.ts';
import type { RecordingSystem } from './system.ts';
import { replyWithText, replyWithToolCalls, type ScriptedResponse } from '#dev/scripted-gateway.ts';
import { httpReply } from '#dev/scripted-responses.ts';
import { startRun, writeGrantedMission, writePlaintextMission } from '#test/support/granted-mission.ts';
import { replyOfTwoRounds, roundOf } from '#test/support/planner-scripts.ts';

const SHALLOW = 'Find the latest news: research the next step of the holiday';
const DEEP = 'A deep dive into the next step of the holiday';

async function shallow(system: RecordingSystem): Promise<Execution> {
  const run = await startRun(system.client, await writeGrantedMission(system, SHALLOW));
  return endsAs(run, 'planned');
}

/** The task is not finished when it is asked for the first time. */
async function deepAwaited(system: RecordingSystem): Promise<Execution> {
  const asked = system.research.asked('state').length;
  const run = await startRun(system.client, await writePlaintextMission(system.webApp, DEEP));
  const execution = await endsAs(run, 'planned');
  const looks = system.research.asked('state').length - asked;
  if (looks !== 2) throw new Error(`the task was asked for ${looks} times, expected 2`);
  return execution;
}

/** The service refuses the submission; the run goes on without. */
async function refused(system: RecordingSystem): Promise<Execution> {
  system.researchWith(() => httpReply(402, {}));
  const run = await startRun(system.client, await writePlaintextMission(system.webApp, DEEP));
  return endsAs(run, 'planned');
}

/** Three attempts find the service down. */
async function givenUp(system: RecordingSystem): Promise<Execution> {
  system.researchWith(() => httpReply(503, {}));
  const run = await startRun(system.client, await writePlaintextMission(system.webApp, SHALLOW));
  return endsAs(run, 'planned');
}

/** The first round comes near the window of `MANA_LLM_CONTEXT_TOKENS`. */
async function compacted(system: RecordingSystem): Promise<Execution> {
  let summaries = 0;
  system.answerWith((request): ScriptedResponse => {
    if (request.body.model === 'mana/fast-text') {
      summaries += 1;
      return replyWithText('Nothing was read so far.');
    }
    const usage = { prompt_tokens: 7_000, completion_tokens: 100, total_tokens: 7_100 };
    const call = { name: 'create_task', arguments: { title: 'Pack the tent', priority: 'high' } };
    return roundOf(request) === 1 ? replyWithToolCalls([call], null, usage) : replyOfTwoRounds(request);
  });
  const mission = await writePlaintextMission(system.webApp, 'Plan the next step of the holiday');
  const execution = await endsAs(await startRun(system.client, mission), 'planned');
  if (summaries !== 1) throw new Error(`the rounds were summarised ${summaries} times, expected once`);
  return execution;
}

export const research: readonly Scenario[] = [
  { name: 'missionRun-research-shallow', record: shallow },
  { name: 'missionRun-research-deep-awaited', record: deepAwaited },
  { name: 'missionRun-research-refused', record: refused },
  { name: 'missionRun-research-given-up', record: givenUp },
  { name: 'missionRun-compacted', record: compacted },
];

import { randomBytes } from 'node:crypto';
import { endsAs, executionOf, type Execution, type Scenario } from './scenario.ts';
import type { RecordingSystem } from './system.ts';
import {
  gate,
  httpError,
  httpReply,
  replyWithToolCalls,
  type ScriptedResponse,
} from '#dev/scripted-gateway.ts';
import { missionAt } from '#dev/web-app.ts';
import { formatInstant } from '#domain/base/instant.ts';
import { missionScheduleId } from '#schedules/schedule-ids.ts';
import {
  HEAL_ITERATIONS_WORKFLOW_TYPE,
  RUNNER_TASK_QUEUE,
  type HealIterationsInput,
} from '#temporal/messages.ts';
import { startRun, writeGrantedMission, writePlaintextMission } from '#test/support/granted-mission.ts';
import { replyOfTwoRounds, roundOf } from '#test/support/planner-scripts.ts';
import { waitUntil } from '#test/support/wait-until.ts';

const OBJECTIVE = 'Plan the next step of the holiday';

/** The projection sees the mission and makes its schedule, the schedule fires. */
async function scheduled(system: RecordingSystem): Promise<Execution> {
  const projection = await system.startProcess('projection');
  try {
    const nextRunAt = formatInstant(Date.now() + 3_000);
    const { user, missionId } = await writeGrantedMission(system, OBJECTIVE, { nextRunAt });
    const schedule = system.client.schedule.getHandle(missionScheduleId(user.userId, missionId));
    const { workflowId, firstExecutionRunId } = await waitUntil('the schedule has fired', async () => {
      const { info } = await schedule.describe();
      return info.recentActions[0]?.action.workflow;
    });
    const run = system.client.workflow.getHandle(workflowId, firstExecutionRunId);
    return await endsAs({ workflowId, firstExecutionRunId, result: () => run.result() }, 'planned');
  } finally {
    await projection.stop();
  }
}

async function plaintext(system: RecordingSystem): Promise<Execution> {
  const run = await startRun(system.client, await writePlaintextMission(system.webApp, OBJECTIVE));
  return endsAs(run, 'planned');
}

async function ownFieldsEncrypted(system: RecordingSystem): Promise<Execution> {
  const mission = await writeGrantedMission(system, OBJECTIVE, { grant: null });
  return endsAs(await startRun(system.client, mission), 'failed', 'grant-absent');
}

/** The answer of a whole run, after `failures` that come before it. */
function failingFirst(failures: readonly ScriptedResponse[]): Parameters<RecordingSystem['answerWith']>[0] {
  const left = [...failures];
  return (request) => left.shift() ?? replyOfTwoRounds(request);
}

async function gatewayFailedTwice(system: RecordingSystem): Promise<Execution> {
  const down = httpError(503, { kind: 'no_healthy_provider', message: 'made up' });
  system.answerWith(failingFirst([down, down]));
  const run = await startRun(system.client, await writeGrantedMission(system, OBJECTIVE));
  return endsAs(run, 'planned');
}

async function gatewayRejected(system: RecordingSystem): Promise<Execution> {
  system.answerWith(failingFirst([httpError(422, { kind: 'blocked', message: 'made up' })]));
  const run = await startRun(system.client, await writeGrantedMission(system, OBJECTIVE));
  return endsAs(run, 'failed', 'gateway-rejected');
}

/** Both rounds are one activity, and the last stage forgets. */
async function roundsAtOnce(system: RecordingSystem): Promise<Execution> {
  const run = await startRun(system.client, await writeGrantedMission(system, OBJECTIVE));
  const { rounds } = await run.result();
  if (rounds !== 2) throw new Error(`the run took ${rounds} rounds, expected 2`);
  return endsAs(run, 'planned');
}

/** The second round fails in the first one's activity and is asked again in one of its own, after a pause. */
async function laterRoundAskedAgain(system: RecordingSystem): Promise<Execution> {
  const failures = [httpError(503, { kind: 'no_healthy_provider', message: 'made up' })];
  system.answerWith(
    (request) => (roundOf(request) === 2 ? failures.shift() : undefined) ?? replyOfTwoRounds(request),
  );
  const run = await startRun(system.client, await writeGrantedMission(system, OBJECTIVE));
  return endsAs(run, 'planned');
}

/** Calls and closing words in one reply: no second round is asked. */
async function closedAtOnce(system: RecordingSystem): Promise<Execution> {
  const call = { name: 'create_task', arguments: { title: 'Made up' } };
  system.answerWith(() => replyWithToolCalls([call], 'One task for the next step of the holiday.'));
  const run = await startRun(system.client, await writePlaintextMission(system.webApp, OBJECTIVE));
  const { rounds } = await run.result();
  if (rounds !== 1) throw new Error(`the run took ${rounds} rounds, expected 1`);
  return endsAs(run, 'planned');
}

/** A model that only repeats itself is not asked any more. */
async function repeating(system: RecordingSystem): Promise<Execution> {
  system.answerWith(() => replyWithToolCalls([{ name: 'create_task', arguments: { title: 'Made up' } }]));
  const run = await startRun(system.client, await writePlaintextMission(system.webApp, OBJECTIVE));
  const { rounds } = await run.result();
  if (rounds !== 2) throw new Error(`the run took ${rounds} rounds, expected 2`);
  return endsAs(run, 'planned');
}

async function windowTooSmall(system: RecordingSystem): Promise<Execution> {
  const tooLong = { kind: 'context_length_exceeded', message: 'made up' };
  system.answerWith(failingFirst([httpError(400, tooLong), httpError(400, tooLong)]));
  const run = await startRun(system.client, await writePlaintextMission(system.webApp, OBJECTIVE));
  return endsAs(run, 'failed', 'window-too-small');
}

/** The second round is refused: the steps of the first one are written. */
async function cutShort(system: RecordingSystem): Promise<Execution> {
  const refused = httpError(422, { kind: 'blocked', message: 'made up' });
  system.answerWith((request) => (roundOf(request) === 1 ? replyOfTwoRounds(request) : refused));
  return endsAs(
    await startRun(system.client, await writePlaintextMission(system.webApp, OBJECTIVE)),
    'planned',
  );
}

/** The model names an address that stood nowhere: its step is written so that no device carries it out. */
async function stagedPlan(system: RecordingSystem): Promise<Execution> {
  const call = { name: 'save_article', arguments: { url: 'https://made-up.example/x', title: 'Made up' } };
  system.answerWith((request) =>
    roundOf(request) === 1 ? replyWithToolCalls([call]) : replyOfTwoRounds(request),
  );
  const mission = await writePlaintextMission(system.webApp, OBJECTIVE);
  const execution = await endsAs(await startRun(system.client, mission), 'planned');
  const read = await system.webApp.read(mission.user, missionAt(mission.missionId));
  if (!JSON.stringify(read?.record['iterations']).includes('"staged"'))
    throw new Error('the plan holds no staged step');
  return execution;
}

/** More than a mission's values may have together: nothing is opened and nobody is asked. */
async function missionTooLarge(system: RecordingSystem): Promise<Execution> {
  const mission = await writePlaintextMission(system.webApp, OBJECTIVE);
  for (const field of ['title', 'conceptMarkdown']) {
    const value = randomBytes(2_500_000).toString('hex');
    await system.webApp.update(mission.user, missionAt(mission.missionId), { [field]: value });
  }
  return endsAs(await startRun(system.client, mission), 'failed', 'mission-too-large');
}

/** The provider holds its reply back, and nothing was planned before. */
async function contentFiltered(system: RecordingSystem): Promise<Execution> {
  const message = { role: 'assistant', content: '' };
  const usage = { prompt_tokens: 100, completion_tokens: 0, total_tokens: 100 };
  system.answerWith(() =>
    httpReply(200, { choices: [{ index: 0, message, finish_reason: 'content_filter' }], usage }),
  );
  const run = await startRun(system.client, await writeGrantedMission(system, OBJECTIVE));
  return endsAs(run, 'failed', 'content-filtered');
}

/** Five rounds of a tool that does not exist: the run has no plan, which only the write-back finds. */
async function noPlan(system: RecordingSystem): Promise<Execution> {
  system.answerWith(() => replyWithToolCalls([{ name: 'made_up', arguments: {} }]));
  const run = await startRun(system.client, await writeGrantedMission(system, OBJECTIVE));
  return endsAs(run, 'failed', 'no-plan');
}

/** The first round is answered only after the user has taken the grant back. */
async function grantRevoked(system: RecordingSystem): Promise<Execution> {
  const revoked = gate();
  system.answerWith((request) =>
    roundOf(request) === 1 ? revoked.hold(replyOfTwoRounds(request)) : replyOfTwoRounds(request),
  );
  const mission = await writeGrantedMission(system, OBJECTIVE);
  const asked = system.gateway.requests.length + 1;
  const run = await startRun(system.client, mission);
  await system.gateway.waitForRequests(asked);
  await system.webApp.update(mission.user, missionAt(mission.missionId), { grant: null });
  revoked.open();
  return endsAs(run, 'failed', 'grant-revoked');
}

/** The same due instant again: a run of the same "run now" finds its iteration in the log. */
async function alreadyWritten(system: RecordingSystem): Promise<Execution> {
  const mission = await writePlaintextMission(system.webApp, OBJECTIVE);
  await endsAs(await startRun(system.client, mission), 'planned');
  return endsAs(await startRun(system.client, mission), 'already-written');
}

async function notDue(system: RecordingSystem): Promise<Execution> {
  const mission = await writePlaintextMission(system.webApp, OBJECTIVE);
  return endsAs(await startRun(system.client, mission, { trigger: 'projection' }), 'not-due');
}

/** Healing is here because it needs an iteration of a finished run. */
async function healed(system: RecordingSystem): Promise<Execution> {
  const mission = await writePlaintextMission(system.webApp, OBJECTIVE);
  const { user, missionId } = mission;
  await endsAs(await startRun(system.client, mission), 'planned');
  await system.webApp.update(user, missionAt(missionId), { iterations: [] });
  const healing = await system.client.workflow.start<
    (input: HealIterationsInput) => Promise<{ restored: number }>
  >(HEAL_ITERATIONS_WORKFLOW_TYPE, {
    workflowId: `heal:${missionId}`,
    taskQueue: RUNNER_TASK_QUEUE,
    args: [{ userId: user.userId, missionId }],
  });
  const { restored } = await healing.result();
  if (restored !== 1) throw new Error(`healing restored ${restored} iterations, expected 1`);
  return executionOf(healing);
}

export const finishedRuns: readonly Scenario[] = [
  { name: 'missionRun-scheduled-encrypted-two-rounds', record: scheduled },
  { name: 'missionRun-plaintext-without-grant', record: plaintext },
  { name: 'missionRun-own-fields-encrypted-without-grant', record: ownFieldsEncrypted },
  { name: 'missionRun-gateway-failed-twice', record: gatewayFailedTwice },
  { name: 'missionRun-gateway-rejected', record: gatewayRejected },
  { name: 'missionRun-window-too-small', record: windowTooSmall },
  { name: 'missionRun-closed-in-one-round', record: closedAtOnce },
  { name: 'missionRun-rounds-at-once', record: roundsAtOnce },
  { name: 'missionRun-later-round-asked-again', record: laterRoundAskedAgain },
  { name: 'missionRun-repeats-itself', record: repeating },
  { name: 'missionRun-cut-short', record: cutShort },
  { name: 'missionRun-staged-plan', record: stagedPlan },
  { name: 'missionRun-mission-too-large', record: missionTooLarge },
  { name: 'missionRun-content-filtered', record: contentFiltered },
  { name: 'missionRun-no-plan', record: noPlan },
  { name: 'missionRun-grant-revoked-between-rounds', record: grantRevoked },
  { name: 'missionRun-already-written', record: alreadyWritten },
  { name: 'missionRun-not-due', record: notDue },
  { name: 'healIterations-restores-one', record: healed },
  { name: 'healIterations-counted', record: healed },
];

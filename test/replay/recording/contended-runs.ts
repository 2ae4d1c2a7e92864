import { randomUUID } from 'node:crypto';
import { WorkflowFailedError } from '@temporalio/client';
import { CancelledFailure } from '@temporalio/common';
import { endsAs, executionOf, type Execution, type Scenario } from './scenario.ts';
import type { RecordingSystem } from './system.ts';
import { withClient } from '#dev/platform-schema.ts';
import { gate, hang } from '#dev/scripted-gateway.ts';
import { agentAt, type WebAppUser } from '#dev/web-app.ts';
import { cancelRunSignal, RUNNER_TASK_QUEUE, SWEEP_RUNS_WORKFLOW_TYPE } from '#temporal/messages.ts';
import {
  startRun,
  untilCancelRequested,
  writeGrantedMission,
  writePlaintextMission,
  writePlaintextMissionOf,
  type RunHandle,
  type WrittenMission,
} from '#test/support/granted-mission.ts';
import { whileSealingWaits } from '#test/support/held-lock.ts';
import { replyOfTwoRounds } from '#test/support/planner-scripts.ts';
import { waitUntil } from '#test/support/wait-until.ts';

const OBJECTIVE = 'Plan the next step of the holiday';

/** Starts a run whose first round the gateway never answers, and waits until it asks. */
async function startHanging(system: RecordingSystem, mission: WrittenMission): Promise<RunHandle> {
  system.answerWith(hang);
  const run = await startRun(system.client, mission);
  await system.gateway.waitForHanging(1);
  return run;
}

async function alreadyRunning(system: RecordingSystem): Promise<Execution> {
  const mission = await writePlaintextMission(system.webApp, OBJECTIVE);
  const first = await startHanging(system, mission);
  const second = await startRun(system.client, mission, { workflowId: `second:${mission.missionId}` });
  const execution = await endsAs(second, 'already-running');
  await first.signal(cancelRunSignal);
  await endsAs(first, 'cancelled');
  return execution;
}

async function cancelledBySignal(system: RecordingSystem): Promise<Execution> {
  const run = await startHanging(system, await writeGrantedMission(system, OBJECTIVE));
  await run.signal(cancelRunSignal);
  return endsAs(run, 'cancelled');
}

async function cancelledByOperator(system: RecordingSystem): Promise<Execution> {
  const run = await startHanging(system, await writeGrantedMission(system, OBJECTIVE));
  await run.cancel();
  const error: unknown = await run.result().catch((error: unknown) => error);
  const isCancelled = error instanceof WorkflowFailedError && error.cause instanceof CancelledFailure;
  if (!isCancelled) throw new Error('the run that an operator cancelled did not end as cancelled');
  return executionOf(run);
}

async function cancelledWhileSealing(system: RecordingSystem): Promise<Execution> {
  const mission = await writeGrantedMission(system, OBJECTIVE);
  const starting = Promise.withResolvers<RunHandle>();
  await whileSealingWaits(system.databases, mission, async (untilAwaited) => {
    const run = await startRun(system.client, mission);
    starting.resolve(run);
    await untilAwaited();
    await run.signal(cancelRunSignal);
    await untilCancelRequested(run);
  });
  return endsAs(await starting.promise, 'cancelled');
}

const writeAgent = async (
  { webApp }: RecordingSystem,
  user: WebAppUser,
  fields: Readonly<Record<string, unknown>> = {},
): Promise<string> => {
  const agentId = randomUUID();
  await webApp.insert(user, agentAt(agentId), {
    name: 'Mana',
    role: 'planner',
    policy: { tools: {}, defaultForAi: 'propose' },
    maxConcurrentMissions: 1,
    state: 'active',
    ...fields,
  });
  return agentId;
};

async function agentPaused(system: RecordingSystem): Promise<Execution> {
  const user = await system.webApp.createUser();
  const agentId = await writeAgent(system, user, { state: 'paused' });
  const missionId = await writePlaintextMissionOf(system.webApp, user, OBJECTIVE, { agentId });
  return endsAs(await startRun(system.client, { user, missionId }), 'agent-paused');
}

/** The agent's only place is taken until the waiting run has asked for it twice. */
async function agentBusy(system: RecordingSystem): Promise<Execution> {
  const free = gate();
  system.answerWith((request) => free.hold(replyOfTwoRounds(request)));
  const user = await system.webApp.createUser();
  const agentId = await writeAgent(system, user);
  const write = async (): Promise<WrittenMission> => ({
    user,
    missionId: await writePlaintextMissionOf(system.webApp, user, OBJECTIVE, { agentId }),
  });
  const asked = system.gateway.requests.length + 1;
  const holder = await startRun(system.client, await write());
  await system.gateway.waitForRequests(asked);
  const waiting = await startRun(system.client, await write());
  await waitUntil('the agent was asked for twice', async () => {
    const { raw } = await waiting.describe();
    return raw.pendingActivities?.some(({ attempt }) => (attempt ?? 0) > 1);
  });
  free.open();
  await endsAs(holder, 'planned');
  return endsAs(waiting, 'planned');
}

/** A mission of every minute waits a minute for its agent, then leaves its place to the next instant. */
async function agentBusyForGood(system: RecordingSystem): Promise<Execution> {
  const user = await system.webApp.createUser();
  const agentId = await writeAgent(system, user);
  const everyMinute = { agentId, cadence: { kind: 'interval', everyMinutes: 1 } };
  const write = async (): Promise<WrittenMission> => ({
    user,
    missionId: await writePlaintextMissionOf(system.webApp, user, OBJECTIVE, everyMinute),
  });
  const holder = await startHanging(system, await write());
  const execution = await endsAs(await startRun(system.client, await write()), 'agent-busy');
  await holder.signal(cancelRunSignal);
  await endsAs(holder, 'cancelled');
  return execution;
}

async function budgetExhausted(system: RecordingSystem): Promise<Execution> {
  const user = await system.webApp.createUser();
  const agentId = await writeAgent(system, user, { maxTokensPerDay: 0 });
  const missionId = await writePlaintextMissionOf(system.webApp, user, OBJECTIVE, { agentId });
  return endsAs(await startRun(system.client, { user, missionId }), 'failed', 'budget-exhausted');
}

/** Sweeping is here because it needs a run that was terminated. */
async function swept(system: RecordingSystem): Promise<Execution> {
  const mission = await writePlaintextMission(system.webApp, OBJECTIVE);
  const dead = await startHanging(system, mission);
  await dead.terminate();
  await withClient(system.databases.superuser.syncUrl, async (client) => {
    await client.query(`update mana_ai.run_slots set claimed_at = claimed_at - interval '1 hour'`);
  });
  const sweeping = await system.client.workflow.start<() => Promise<{ swept: number }>>(
    SWEEP_RUNS_WORKFLOW_TYPE,
    {
      workflowId: 'sweep',
      taskQueue: RUNNER_TASK_QUEUE,
      args: [],
    },
  );
  const result = await sweeping.result();
  if (result.swept !== 1) throw new Error(`the sweep forgot ${result.swept} runs, expected 1`);
  return executionOf(sweeping);
}

export const contendedRuns: readonly Scenario[] = [
  { name: 'missionRun-already-running', record: alreadyRunning },
  { name: 'missionRun-cancelled-by-signal', record: cancelledBySignal },
  { name: 'missionRun-cancelled-by-operator', record: cancelledByOperator },
  { name: 'missionRun-cancelled-while-sealing', record: cancelledWhileSealing },
  { name: 'missionRun-agent-paused', record: agentPaused },
  { name: 'missionRun-agent-busy-then-runs', record: agentBusy },
  { name: 'missionRun-agent-busy-for-good', record: agentBusyForGood },
  // Recorded when the budget was looked at before each round only; nothing is opened any more for an agent without one.
  { name: 'missionRun-budget-exhausted', record: budgetExhausted },
  { name: 'missionRun-budget-exhausted-at-load', record: budgetExhausted },
  { name: 'sweepRuns-forgets-a-terminated-run', record: swept },
];

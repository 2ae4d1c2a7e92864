import { execFile } from 'node:child_process';
import { hostname } from 'node:os';
import { promisify } from 'node:util';
import proto from '@temporalio/proto';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { gate } from '#dev/scripted-gateway.ts';
import { temporalCliPath } from '#dev/temporal-server.ts';
import { formatInstant } from '#domain/base/instant.ts';
import {
  MISSION_RUN_WORKFLOW_TYPE,
  PROJECTION_TASK_QUEUE,
  RUNNER_TASK_QUEUE,
  VAULT_TASK_QUEUE,
} from '#temporal/messages.ts';
import { startRun, writeGrantedMission, writePlaintextMission } from '#test/support/granted-mission.ts';
import { startMissionSystem, type MissionSystem } from '#test/support/mission-system.ts';
import { replyOfTwoRounds, requestsOf, roundOf } from '#test/support/planner-scripts.ts';
import { waitUntil } from '#test/support/wait-until.ts';

const HELD = 'OBJECTIVE-BEGUN-ON-THE-FIRST-VERSION';
const held = gate();

let system: MissionSystem;
beforeAll(async () => {
  system = await startMissionSystem({
    parts: [],
    script: (request) => {
      const reply = replyOfTwoRounds(request);
      return request.bodyText.includes(HELD) && roundOf(request) === 1 ? held.hold(reply) : reply;
    },
  });
});
afterAll(async () => {
  held.open();
  await system.close();
});

const run = promisify(execFile);
/** As docs/operations.md has it. */
const temporal = async (...words: readonly string[]): Promise<string> => {
  const connection = ['--address', inject('temporalAddress'), '--namespace', system.namespace];
  const env = { TEMPORAL_CONFIG_FILE: '/dev/null' };
  const { stdout } = await run(temporalCliPath(), [...words, ...connection], { env });
  return stdout;
};
const deployment = (verb: string, ...flags: readonly string[]): Promise<string> =>
  temporal('worker', 'deployment', verb, '--deployment-name', 'mana-missions', ...flags);

/** The server knows a version once its workers have polled, and refuses one that lacks a queue of the version before. */
const untilTaken = (verb: string, ...flags: readonly string[]): Promise<unknown> =>
  waitUntil(`${verb} ${flags.join(' ')}`, async () => {
    await deployment(verb, ...flags, '--yes');
    return true;
  });

interface Versioning {
  readonly behavior: number;
  readonly buildId: string | undefined;
}
const ACTIVITY = proto.temporal.api.enums.v1.TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY;
const PINNED = 1;
const AUTO_UPGRADE = 2;
async function versioningOf(workflowId: string, runId?: string): Promise<Versioning> {
  const { raw } = await system.client.workflow.getHandle(workflowId, runId).describe();
  const info = raw.workflowExecutionInfo?.versioningInfo;
  return { behavior: info?.behavior ?? 0, buildId: info?.deploymentVersion?.buildId ?? undefined };
}

let runs = 0;
/** Runs a mission at once. */
async function versionOfNewRun(): Promise<Versioning> {
  const mission = await writePlaintextMission(system.webApp, `OBJECTIVE-OF-A-NEW-RUN-${(runs += 1)}`);
  const started = await startRun(system.client, mission);
  expect((await started.result()).outcome).toBe('planned');
  return versioningOf(started.workflowId);
}

/** What operators say reaches the queues a moment later. */
const untilNewRunsAreOn = (buildId: string | undefined): Promise<unknown> =>
  waitUntil(`new runs are on ${buildId ?? 'workers without a version'}`, async () => {
    const versioning = await versionOfNewRun();
    return versioning.buildId === buildId;
  });

it('a run ends on the version it began on; new runs, schedules and the projection follow what operators say', async () => {
  const without = await system.startVersion(null);
  const first = await system.startVersion('first');
  expect((await versionOfNewRun()).buildId).toBeUndefined();
  await untilTaken('set-current-version', '--build-id', 'first');
  await untilNewRunsAreOn('first');
  await without.stop();
  // What readiness asks for is seen of workers with a version, too.
  for (const name of [RUNNER_TASK_QUEUE, VAULT_TASK_QUEUE, PROJECTION_TASK_QUEUE]) {
    const question = { namespace: system.namespace, taskQueue: { name }, taskQueueType: ACTIVITY };
    const { pollers } = await system.client.workflowService.describeTaskQueue(question);
    expect(
      pollers.map(({ identity }) => identity),
      name,
    ).toContain(`${process.pid}@${hostname()}`);
  }
  const mission = await writeGrantedMission(system, HELD);
  const begun = await startRun(system.client, mission);
  await waitUntil('round 1 is asked', () => requestsOf(system.gateway.requests, HELD, 1).length > 0);

  await system.startVersion('second');
  await untilTaken('set-ramping-version', '--build-id', 'second', '--percentage', '100');
  await untilNewRunsAreOn('second');
  // Back again.
  await untilTaken('set-ramping-version', '--build-id', 'second', '--delete');
  await untilNewRunsAreOn('first');

  await untilTaken('set-current-version', '--build-id', 'second');
  await untilNewRunsAreOn('second');
  const due = await writePlaintextMission(system.webApp, 'OBJECTIVE-DUE-ON-THE-SECOND', {
    nextRunAt: formatInstant(Date.now() + 2_000),
  });
  const scheduled = await waitUntil('the schedule has started it', async () => {
    const query = `ManaMissionId = '${due.missionId}' and WorkflowType = '${MISSION_RUN_WORKFLOW_TYPE}'`;
    for await (const found of system.client.workflow.list({ query })) return found;
    return null;
  });
  await system.client.workflow.getHandle(scheduled.workflowId, scheduled.runId).result();
  expect(await versioningOf(scheduled.workflowId)).toEqual({ behavior: PINNED, buildId: 'second' });

  held.open();
  expect(await begun.result()).toMatchObject({ outcome: 'planned', rounds: 2 });
  expect(await versioningOf(begun.workflowId)).toEqual({ behavior: PINNED, buildId: 'first' });
  // Sealing is the vault's, of the same version.
  const { events } = await begun.fetchHistory();
  const versions = events?.map(
    ({ workflowTaskCompletedEventAttributes: task }) => task?.deploymentVersion?.buildId,
  );
  expect(new Set(versions?.filter((version) => version !== undefined))).toEqual(new Set(['first']));
  await waitUntil('visibility knows it', async () => {
    const onFirst = `TemporalWorkerDeploymentVersion = 'mana-missions:first' and WorkflowType = '${MISSION_RUN_WORKFLOW_TYPE}'`;
    return Number((await temporal('workflow', 'count', '--query', onFirst)).replace(/\D/g, '')) > 1;
  });

  await first.stop();
  await waitUntil('the projection goes on on the second', async () => {
    const versioning = await versioningOf('projection-follow');
    return versioning.behavior === AUTO_UPGRADE && versioning.buildId === 'second';
  });
  await system.startVersion(null);
  await untilTaken('set-current-version', '--unversioned');
  await untilNewRunsAreOn(undefined);
});

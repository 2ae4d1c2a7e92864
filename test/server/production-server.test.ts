import { randomUUID } from 'node:crypto';
import { Connection, ScheduleOverlapPolicy } from '@temporalio/client';
import pLimit from 'p-limit';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { countFigures } from '#dev/demo/figures.ts';
import { createDemoMissions } from '#dev/demo/missions.ts';
import { watchMissions } from '#dev/demo/watch.ts';
import { startStack, type Stack } from '#dev/stack.ts';
import { productionPrograms, startProductionTemporal } from '#test/support/production-temporal.ts';
import { waitUntil } from '#test/support/wait-until.ts';

/** Temporal's production server, built from the Go module, on PostgreSQL; docs/deployment.md says how it is built. */
let stack: Stack;

beforeAll(async () => {
  const programs = productionPrograms(process.env);
  stack = await startStack({
    ports: {},
    say: (line) => console.log(line),
    temporal: (postgres, directory) => startProductionTemporal(programs, postgres, directory),
  });
});
afterAll(async () => {
  await stack.stop();
});

it('is the version that development and tests run', async () => {
  const connection = await Connection.connect({ address: stack.temporal.address });
  try {
    const { serverVersion } = await connection.workflowService.getSystemInfo({});
    const { persistenceStore, visibilityStore } = await connection.workflowService.getClusterInfo({});
    expect({ serverVersion, persistenceStore, visibilityStore }).toEqual({
      serverVersion: '1.32.0',
      persistenceStore: 'postgres12',
      visibilityStore: 'postgres12',
    });
  } finally {
    await connection.close();
  }
});

it('runs the missions of the demo', async () => {
  const data = await createDemoMissions(stack, () => undefined);
  await watchMissions(stack, data, () => undefined, undefined, 180_000);
  expect(await countFigures(stack, data)).toMatchObject({
    ...{ missions: 3, iterations: 3, failedIterations: 1, runs: 3 },
  });
});

/** Of Temporal's default rate, 30 a second, they would take a minute. */
const SCHEDULES = 1_800;

it('starts more than 30 scheduled runs a second', async () => {
  const { client } = stack;
  const at = Date.now() + 120_000;
  const limit = pLimit(20);
  const type = `nobody-takes-it-${randomUUID()}`;
  await Promise.all(
    Array.from({ length: SCHEDULES }, (_, index) =>
      limit(() =>
        client.schedule.create({
          scheduleId: `${type}-${index}`,
          spec: { intervals: [{ every: '365 days', offset: at % (365 * 86_400_000) }] },
          policies: { overlap: ScheduleOverlapPolicy.SKIP },
          action: { type: 'startWorkflow', workflowType: type, taskQueue: type },
        }),
      ),
    ),
  );
  expect(Date.now()).toBeLessThan(at);
  const query = `WorkflowType = '${type}'`;
  await waitUntil(
    'all schedules have started their run',
    async () => (await client.workflow.count(query)).count === SCHEDULES,
    { deadlineMs: 300_000 },
  );
  const startedAt: number[] = [];
  for await (const { startTime } of client.workflow.list({ query })) startedAt.push(startTime.getTime());
  const seconds = (Math.max(...startedAt) - Math.min(...startedAt)) / 1_000;
  console.log(`${SCHEDULES} runs started within ${seconds} s`);
  expect(SCHEDULES / seconds).toBeGreaterThan(30);
});

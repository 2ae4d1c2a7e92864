import { execFileSync } from 'node:child_process';
import { Connection } from '@temporalio/client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { countFigures } from '#dev/demo/figures.ts';
import { createDemoMissions } from '#dev/demo/missions.ts';
import { watchMissions } from '#dev/demo/watch.ts';
import { startStack, type Stack } from '#dev/stack.ts';
import {
  dynamicConfigFile,
  productionPrograms,
  startProductionTemporal,
} from '#test/support/production-temporal.ts';

/** Temporal's production server, built from the Go module, on PostgreSQL; docs/deployment.md says how it is built. */
const programs = productionPrograms(process.env);
let stack: Stack;

beforeAll(async () => {
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

it('knows every key of our dynamic configuration, and its type', () => {
  const said = execFileSync(programs.server, ['validate-dynamic-config', dynamicConfigFile], {
    encoding: 'utf8',
  });
  expect(said.trim()).toBe(dynamicConfigFile);
});

it('runs the missions of the demo', async () => {
  const data = await createDemoMissions(stack, () => undefined);
  await watchMissions(stack, data, () => undefined, undefined, 180_000);
  expect(await countFigures(stack, data)).toMatchObject({
    ...{ missions: 3, iterations: 3, failedIterations: 1, runs: 3 },
  });
});

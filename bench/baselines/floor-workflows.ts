import { proxyActivities, proxyLocalActivities } from '@temporalio/workflow';
import type { FloorActivities } from './floor-worker.ts';

const local = proxyLocalActivities<FloorActivities>({ startToCloseTimeout: '30 seconds' });
const vault = proxyActivities<FloorActivities>({
  taskQueue: 'floor-vault',
  startToCloseTimeout: '2 minutes',
});
const round = proxyActivities<FloorActivities>({
  startToCloseTimeout: '10 minutes',
  heartbeatTimeout: '10 seconds',
});

/** A mission's stages as they were when the floor was first measured: load, seal, two rounds, write, forget; nothing is done in them. */
export async function floorRun(waitMs: number): Promise<void> {
  await local.nothing();
  await vault.nothing();
  await round.wait(waitMs);
  await round.wait(waitMs);
  await local.nothing();
  await local.nothing();
}

/** What no workflow can do without. */
export async function emptyRun(): Promise<void> {
  await Promise.resolve();
}

import { proxyLocalActivities } from '@temporalio/workflow';
import type { HealIterationsInput } from './messages.ts';
import type { RunnerActivities } from '../activities/runner/activities.ts';

const database = proxyLocalActivities<RunnerActivities>({
  startToCloseTimeout: '30 seconds',
  retry: { initialInterval: '1 second', maximumInterval: '1 minute' },
});

/** Puts back what a device overwrote; started by the projection, which sees the overwriting row. */
export async function healIterations(input: HealIterationsInput): Promise<{ restored: number }> {
  return database.healIterations(input);
}

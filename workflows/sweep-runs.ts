import { proxyActivities } from '@temporalio/workflow';
import type { RunnerActivities } from '#activities/runner/activities.ts';

const database = proxyActivities<RunnerActivities>({
  startToCloseTimeout: '5 minutes',
  // A run that takes the sweep's worker with it costs the others this long.
  heartbeatTimeout: '10 seconds',
  retry: { initialInterval: '5 seconds', maximumInterval: '1 minute', maximumAttempts: 5 },
});

/** Forgets what terminated runs left behind; on a Temporal Schedule of its own. */
export async function sweepRuns(): Promise<{ swept: number }> {
  return database.sweepRuns();
}

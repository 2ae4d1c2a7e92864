import { proxyActivities } from '@temporalio/workflow';
import type { ProjectionActivities } from '#activities/projection/activities.ts';
import type { ProjectionPassResult } from '#domain/projection/pass-results.ts';

const projection = proxyActivities<ProjectionActivities>({
  startToCloseTimeout: '1 minute',
  heartbeatTimeout: '10 seconds',
  // Whoever asked waits; the projection goes on by itself.
  retry: { initialInterval: '1 second', maximumInterval: '5 seconds', maximumAttempts: 3 },
});

/** One pass of the projection now, for `POST /internal/tick`. */
export async function projectionPass(): Promise<ProjectionPassResult> {
  return projection.runProjectionPass();
}

import { continueAsNew, proxyActivities } from '@temporalio/workflow';
import type { ProjectionActivities } from '#activities/projection/activities.ts';

const projection = proxyActivities<ProjectionActivities>({
  startToCloseTimeout: '6 minutes',
  heartbeatTimeout: '10 seconds',
  retry: { initialInterval: '1 second', maximumInterval: '10 seconds' },
});

/** Follows the change log for ever; each activity takes at most five minutes, each run of the workflow one activity. */
export async function projectionFollow(): Promise<void> {
  await projection.followChangeLog();
  await continueAsNew<typeof projectionFollow>();
}

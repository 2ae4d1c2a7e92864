import { continueAsNew, proxyActivities } from '@temporalio/workflow';
import type { ProjectionActivities } from '#activities/projection/activities.ts';

const projection = proxyActivities<ProjectionActivities>({
  startToCloseTimeout: '6 minutes',
  heartbeatTimeout: '10 seconds',
  // Every mission waits for it: connections that end one after the other must not add up to a long pause.
  retry: { initialInterval: '500 milliseconds', maximumInterval: '2 seconds' },
});

/** Follows the change log for ever; each activity takes at most five minutes, each run of the workflow one activity. */
export async function projectionFollow(): Promise<void> {
  await projection.followChangeLog();
  await continueAsNew<typeof projectionFollow>();
}

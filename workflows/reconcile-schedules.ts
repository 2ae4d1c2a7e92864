import { proxyActivities } from '@temporalio/workflow';
import type { ProjectionActivities } from '#activities/projection/activities.ts';
import type { ReconcileResult } from '#domain/projection/pass-results.ts';

const projection = proxyActivities<ProjectionActivities>({
  startToCloseTimeout: '1 hour',
  heartbeatTimeout: '15 seconds',
  // The next one comes within the hour.
  retry: { initialInterval: '5 seconds', maximumInterval: '1 minute', maximumAttempts: 10 },
});

/** Compares all missions with all schedules and mends drift: on start, hourly and by `yarn schedules:reconcile`. */
export async function reconcileSchedules(): Promise<ReconcileResult> {
  return projection.reconcileSchedules();
}

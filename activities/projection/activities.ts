import type { ProjectionDependencies } from './dependencies.ts';
import { followChangeLog, type FollowResult } from './follow.ts';
import { reconcileSchedules } from './reconcile-schedules.ts';
import { runPass } from './run-pass.ts';
import type { ProjectionPassResult, ReconcileResult } from '#domain/projection/pass-results.ts';
import { runActivity } from '#activities/run-activity.ts';

/** Nobody else follows the log: lost attempts are logged and counted, the work goes on. The SDK tells the server every 8 s. */
const HEARTBEAT = { heartbeatEveryMs: 4_000, isNeverGivenUp: true };

/** Activities of task queue `missions-projection`. Their names are stored in histories. */
export interface ProjectionActivities {
  followChangeLog(): Promise<FollowResult>;
  runProjectionPass(): Promise<ProjectionPassResult>;
  reconcileSchedules(): Promise<ReconcileResult>;
}

export const createProjectionActivities = (deps: ProjectionDependencies): ProjectionActivities => ({
  followChangeLog: () => runActivity(({ signal }) => followChangeLog(deps, signal), HEARTBEAT),
  runProjectionPass: () => runActivity(({ signal }) => runPass(deps, signal), HEARTBEAT),
  reconcileSchedules: () => runActivity(({ signal }) => reconcileSchedules(deps, signal), HEARTBEAT),
});

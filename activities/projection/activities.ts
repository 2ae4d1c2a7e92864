import type { ProjectionDependencies } from './dependencies.ts';
import { followChangeLog } from './follow.ts';
import type { FollowResult } from './follow.ts';
import { runActivity } from '../run-activity.ts';

const HEARTBEAT_EVERY_MS = 2_000;

/** Activities of task queue `missions-projection`. Their names are stored in histories. */
export interface ProjectionActivities {
  followChangeLog(): Promise<FollowResult>;
}

export const createProjectionActivities = (deps: ProjectionDependencies): ProjectionActivities => ({
  followChangeLog: () =>
    runActivity(({ signal }) => followChangeLog(deps, signal), { heartbeatEveryMs: HEARTBEAT_EVERY_MS }),
});

import { toMissionId, toUserId, toWorkflowRunId } from '#domain/base/ids.ts';
import { proxyLocalActivities } from '@temporalio/workflow';
import type { MissionRunInput } from '#temporal/messages.ts';
import type { RunnerActivities } from '#activities/runner/activities.ts';

const database = proxyLocalActivities<RunnerActivities>({ startToCloseTimeout: '30 seconds' });

/** A missionRun that forgets before it loads: what a careless change of the workflow would look like to its histories. */
export async function missionRun({ userId, missionId }: MissionRunInput): Promise<void> {
  await database.forgetRun({
    userId: toUserId(userId),
    missionId: toMissionId(missionId),
    runId: toWorkflowRunId('any'),
  });
}

import { toMissionId, toUserId } from '#domain/base/ids.ts';
import { patched, proxyActivities, proxyLocalActivities } from '@temporalio/workflow';
import type { RunnerActivities } from '#activities/runner/activities.ts';
import type { HealIterationsInput } from '#temporal/messages.ts';

const local = proxyLocalActivities<RunnerActivities>({
  startToCloseTimeout: '30 seconds',
  retry: { initialInterval: '1 second', maximumInterval: '1 minute' },
});

/** One whose attempts the server counts: a mission that takes its worker with it must not be handed on for ever. */
const counted = proxyActivities<RunnerActivities>({
  startToCloseTimeout: '1 minute',
  scheduleToCloseTimeout: '2 hours',
  heartbeatTimeout: '10 seconds',
  retry: { initialInterval: '1 second', maximumInterval: '1 minute' },
});

/** Puts back what a device overwrote; started by the projection, which sees the overwriting row. */
export async function healIterations(input: HealIterationsInput): Promise<{ restored: number }> {
  const mission = { userId: toUserId(input.userId), missionId: toMissionId(input.missionId) };
  return (patched('counted-healing') ? counted : local).healIterations(mission);
}

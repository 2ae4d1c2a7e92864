import { type ProjectionDependencies, logFailure } from './dependencies.ts';
import { isErased } from '#db/erased-users.ts';
import { markHealingStarted, readMissionsToHeal } from '#db/projection.ts';
import { isTemporalUnavailable } from '#temporal/grpc-status.ts';

const HEALINGS_AT_ONCE = 50;

/**
 * Starts the healings that are due, once the rows that they are about count as projected: a Temporal that hangs must not keep
 * the cursor. One that cannot be started now is tried again in ten seconds, also where another one of the mission is under way.
 */
export async function startHealings(deps: ProjectionDependencies, signal?: AbortSignal): Promise<void> {
  const silent = new Set<string>();
  for (const mission of await readMissionsToHeal(deps.database.system, HEALINGS_AT_ONCE)) {
    if (signal?.aborted === true) return;
    const { userId, missionId } = mission;
    const namespace = deps.schedules.namespaceOf(userId);
    let isStarted = false;
    try {
      // The others of a namespace that does not answer would wait for as long each; those of another namespace need not.
      // Of a user who is being entered as erased it waits, for that may be broken off; who was erased has no mission soon.
      if (!silent.has(namespace) && !(await isErased(deps.database.system, userId)))
        isStarted = await deps.startHealing(userId, missionId);
    } catch (error) {
      logFailure(deps, 'healing not started; it is tried again', { userId, missionId }, error);
      if (isTemporalUnavailable(error)) silent.add(namespace);
    }
    await markHealingStarted(deps.database.system, mission, isStarted);
  }
}

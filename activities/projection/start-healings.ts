import type { ProjectionDependencies } from './dependencies.ts';
import { logFailure } from './log-failure.ts';
import { isErased } from '#db/erased-users.ts';
import { markHealingStarted, readMissionsToHeal } from '#db/projection.ts';
import { isTemporalUnavailable } from '#temporal/unavailable.ts';

const HEALINGS_AT_ONCE = 50;

/**
 * Starts the healings that are due, once the rows that they are about count as projected: a Temporal that hangs must not keep
 * the cursor. One that cannot be started now is tried again in ten seconds, also where another one of the mission is under way.
 */
export async function startHealings(deps: ProjectionDependencies): Promise<void> {
  for (const mission of await readMissionsToHeal(deps.database.system, HEALINGS_AT_ONCE)) {
    let isStarted = false;
    let isUnavailable = false;
    try {
      // Of a user who is being entered as erased it waits, for that may be broken off; who was erased has no mission soon.
      if (!(await isErased(deps.database.system, mission.userId)))
        isStarted = await deps.startHealing(mission.userId, mission.missionId);
    } catch (error) {
      const { userId, missionId } = mission;
      logFailure(deps, 'healing not started; it is tried again', { userId, missionId }, error);
      isUnavailable = isTemporalUnavailable(error);
    }
    await markHealingStarted(deps.database.system, mission, isStarted);
    // The others would wait for an answer for as long each.
    if (isUnavailable) return;
  }
}

import { TemporalUnavailableError } from '#domain/base/errors.ts';
import type { MissionId, UserId } from '#domain/base/ids.ts';
import type { ProjectionPassResult } from '#domain/projection/pass-results.ts';
import { askTemporal } from '#temporal/ask-temporal.ts';
import { RUNNER_TASK_QUEUE } from '#temporal/messages.ts';
import { namespacesOf, type Clients } from '#temporal/namespaces.ts';
import { createMissionRuns, type MissionRuns } from '#runs/mission-runs.ts';
import { createMissionSchedules } from '#schedules/mission-schedules.ts';
import { runProjectionPass } from '#schedules/system-workflows.ts';

/** What the API asks of Temporal; everything throws `TemporalUnavailableError` where it does not answer. */
export interface ApiCalls {
  readonly runs: MissionRuns;
  /** The note of an operator's pause in the Temporal UI, possibly empty; null if there is none. */
  readonly operatorNote: (userId: UserId, missionId: MissionId) => Promise<string | null>;
  /** Resolves when the pass has ended. */
  readonly runPass: () => Promise<ProjectionPassResult>;
}

/** @param client null: there is no Temporal */
export function createApiCalls(client: Clients | null): ApiCalls {
  const runs = createMissionRuns({ client, taskQueue: RUNNER_TASK_QUEUE });
  if (client === null) {
    const refuse = () => Promise.reject(new TemporalUnavailableError());
    return { runs, operatorNote: refuse, runPass: refuse };
  }
  const { home } = namespacesOf(client);
  const schedules = createMissionSchedules({ client, taskQueue: RUNNER_TASK_QUEUE });
  return {
    runs,
    operatorNote: async (userId, missionId) => {
      const pause = await askTemporal(home, () => schedules.pauseOf(userId, missionId));
      return pause?.paused === true ? pause.note : null;
    },
    runPass: () => askTemporal(home, () => runProjectionPass(home)),
  };
}

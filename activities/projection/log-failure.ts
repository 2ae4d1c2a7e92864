import type { ProjectionDependencies } from './dependencies.ts';
import type { MissionKey } from '../../db/schedule-state.ts';

/** Logs what could not be done for a mission, without the error's text: it may quote content. */
export function logFailure(
  deps: ProjectionDependencies,
  message: string,
  { userId, missionId }: MissionKey,
  error: unknown,
): void {
  const name = error instanceof Error ? error.name : typeof error;
  deps.log.warn(message, { userId, missionId, error: name });
}

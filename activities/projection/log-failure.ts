import type { ProjectionDependencies } from './dependencies.ts';

/** Whose work could not be done; ids only. */
export interface FailedWork {
  readonly userId?: string | undefined;
  readonly missionId?: string | undefined;
  readonly agentId?: string | null | undefined;
  readonly table?: string | undefined;
}

/** Logs what could not be done and why: the log keeps type, code and place of the error, no text that may quote content. */
export function logFailure(
  deps: ProjectionDependencies,
  message: string,
  { userId, missionId, agentId, table }: FailedWork,
  error: unknown,
): void {
  deps.log.warn(message, { table, userId, missionId, agentId, error });
}

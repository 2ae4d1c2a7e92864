import type { Database } from '#db/client.ts';
import type { ExecutionRef } from '#runs/run-execution.ts';
import type { MissionSchedules } from '#schedules/mission-schedules.ts';

/** What the projection works with; it holds no key at all. */
export interface ProjectionDependencies {
  readonly database: Database;
  readonly schedules: MissionSchedules;
  /** Starts the workflow that puts iterations back; false when it is under way. */
  readonly startHealing: (userId: string, missionId: string) => Promise<boolean>;
  /** Signals `cancelRun` to a run; one that has ended is left alone. */
  readonly cancelRun: (run: ExecutionRef) => Promise<unknown>;
  /** Whether one more mission of the user may be started now; see `createStartTurns`. */
  readonly mayStart: (userId: string, nowMs: number) => boolean;
  /** Whether Temporal says that this run is still open. */
  readonly isRunOpen: (workflowId: string, runId: string) => Promise<boolean>;
  readonly log: ProjectionLog;
}

export interface ProjectionLog {
  info(message: string, fields: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields: Readonly<Record<string, unknown>>): void;
}

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

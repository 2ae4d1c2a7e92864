import { defineQuery, defineSignal } from '@temporalio/workflow';
import type { RunPhase } from '#domain/run/run.ts';

/** Names stored in histories: renaming one is a breaking change (docs/contributing.md section 2). */
export const MISSION_RUN_WORKFLOW_TYPE = 'missionRun';
export const PROJECTION_FOLLOW_WORKFLOW_TYPE = 'projectionFollow';
export const HEAL_ITERATIONS_WORKFLOW_TYPE = 'healIterations';
export const SWEEP_RUNS_WORKFLOW_TYPE = 'sweepRuns';
export const PROJECTION_PASS_WORKFLOW_TYPE = 'projectionPass';
export const RECONCILE_SCHEDULES_WORKFLOW_TYPE = 'reconcileSchedules';

export const RUNNER_TASK_QUEUE = 'missions';
export const VAULT_TASK_QUEUE = 'missions-vault';
export const PROJECTION_TASK_QUEUE = 'missions-projection';

/** What started a run: its schedule, the projection (a passed instant never fires), or the user. */
export type RunTrigger = 'schedule' | 'projection' | 'run-now';

export interface MissionRunInput {
  readonly userId: string;
  readonly missionId: string;
  readonly trigger: RunTrigger;
}

export interface HealIterationsInput {
  readonly userId: string;
  readonly missionId: string;
}

/** Ends a run at once: the gateway call is aborted, no iteration is written, the next instant stands. */
export const cancelRunSignal = defineSignal('cancelRun');

export interface RunProgress {
  readonly phase: RunPhase;
  /** 0 before the first planner round. */
  readonly round: number;
  readonly totalTokens: number;
}
export const runProgressQuery = defineQuery<RunProgress>('runProgress');

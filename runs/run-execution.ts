import type { WorkflowExecutionInfo } from '@temporalio/client';
import type { MissionRunResult, RunEnd } from '#domain/run/run.ts';
import { MISSION_SEARCH_ATTRIBUTES } from '#temporal/search-attributes.ts';
import { MISSION_RUN_WORKFLOW_TYPE, type RunTrigger } from '#temporal/messages.ts';

/** How an execution stands or ended; what it came to is its outcome. */
export const RUN_STATES = ['running', 'completed', 'failed', 'cancelled', 'terminated', 'timed-out'] as const;
export type RunState = (typeof RUN_STATES)[number];

/** Names an execution; without a run id the latest of its workflow id. */
export interface ExecutionRef {
  readonly workflowId: string;
  readonly runId?: string;
}

/** A run as Temporal knows it. */
export interface MissionRun {
  readonly workflowId: string;
  readonly runId: string;
  readonly missionId: string;
  readonly trigger: RunTrigger | null;
  readonly state: RunState;
  /** Null until it has ended, and for a run that an operator ended. */
  readonly outcome: RunEnd | null;
  readonly startedAt: Date;
  readonly finishedAt: Date | null;
  /** What a completed run returned; null for others, and where it can no longer be read. */
  readonly result: MissionRunResult | null;
}

const STATES: Readonly<Record<WorkflowExecutionInfo['status']['name'], RunState>> = {
  RUNNING: 'running',
  // By an operator; it goes on when that is taken back.
  PAUSED: 'running',
  COMPLETED: 'completed',
  FAILED: 'failed',
  CANCELLED: 'cancelled',
  TERMINATED: 'terminated',
  TIMED_OUT: 'timed-out',
  // A run does none of these.
  CONTINUED_AS_NEW: 'completed',
  UNSPECIFIED: 'failed',
  UNKNOWN: 'failed',
};

type Execution = Pick<
  WorkflowExecutionInfo,
  'type' | 'workflowId' | 'runId' | 'status' | 'startTime' | 'closeTime' | 'typedSearchAttributes'
>;

/** Reads an execution as a run; null if it is none of this user. */
export function toMissionRun(execution: Execution, userId: string): MissionRun | null {
  const { workflowId, runId, typedSearchAttributes: attributes } = execution;
  const missionId = attributes.get(MISSION_SEARCH_ATTRIBUTES.missionId);
  const isTheirs = attributes.get(MISSION_SEARCH_ATTRIBUTES.userId) === userId;
  if (execution.type !== MISSION_RUN_WORKFLOW_TYPE || !isTheirs || missionId === undefined) return null;
  return {
    workflowId,
    runId,
    missionId,
    // Written by us alone, see `runSearchAttributes` and the workflow.
    trigger: (attributes.get(MISSION_SEARCH_ATTRIBUTES.trigger) as RunTrigger | undefined) ?? null,
    outcome: (attributes.get(MISSION_SEARCH_ATTRIBUTES.outcome) as RunEnd | undefined) ?? null,
    state: STATES[execution.status.name],
    startedAt: execution.startTime,
    finishedAt: execution.closeTime ?? null,
    result: null,
  };
}

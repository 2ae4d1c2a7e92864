import type { RecordingSystem } from './system.ts';
import type { MissionRunResult, RunOutcome } from '#domain/run/run.ts';

/** Names the execution whose history is kept. */
export interface Execution {
  readonly workflowId: string;
  readonly runId: string;
}

/** One path of a workflow, walked with made-up data. */
export interface Scenario {
  /** `<workflow type>-<what it pins>`, the name of the file. */
  readonly name: string;
  /** @throws Error when the run did not take the path that the name says */
  readonly record: (system: RecordingSystem) => Promise<Execution>;
}

interface Handle {
  readonly workflowId: string;
  readonly firstExecutionRunId: string;
  result(): Promise<MissionRunResult>;
}

/** Waits for the end of a run, which must be the one that the scenario is about. */
export async function endsAs(
  run: Handle,
  outcome: RunOutcome,
  failureCode: MissionRunResult['failureCode'] = null,
): Promise<Execution> {
  const result = await run.result();
  if (result.outcome !== outcome || result.failureCode !== failureCode) {
    throw new Error(
      `the run ended as ${result.outcome}, ${result.failureCode ?? 'no failure'}; expected ${outcome}, ${failureCode ?? 'no failure'}`,
    );
  }
  return executionOf(run);
}

export const executionOf = (run: Pick<Handle, 'workflowId' | 'firstExecutionRunId'>): Execution => ({
  workflowId: run.workflowId,
  runId: run.firstExecutionRunId,
});

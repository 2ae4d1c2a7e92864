import type { MissionRunResult, RunEnd, RunPhase } from './run.ts';

/** What a run tells the worker that has it, for its log and its figures: ids, counts, times and codes. */
export interface RunBegun {
  readonly userId: string;
  readonly missionId: string;
  readonly trigger: string;
}

/** Phases that take time; `forgetting` is there where it was a stage of its own, and not the end of the last one. */
export type TimedPhase = Exclude<RunPhase, 'parsing-response' | 'finished'> | 'forgetting';

export interface RunEnded extends RunBegun {
  readonly outcome: RunEnd;
  readonly failureCode: MissionRunResult['failureCode'];
  /** Null where the run ended by an error: its counts went with it. */
  readonly rounds: number | null;
  readonly steps: number | null;
  readonly totalTokens: number | null;
  /** From the workflow's start, waiting for workers included. */
  readonly durationMs: number;
  /** What its activities took, by phase: waiting in queues, attempts that failed and their pauses included. */
  readonly phaseMs: Readonly<Partial<Record<TimedPhase, number>>>;
}

/** Who listens, in the worker: a line and a figure are written once, not again when a run is replayed. */
export interface RunReports {
  readonly runs: {
    begun(report: RunBegun): void;
    /** The run has passed the gates, so long after the instant that it was due at. */
    passedGates(lagMs: number): void;
    /** The run has waited so long for a place of its busy agent, perhaps in vain. */
    waitedForAgent(waitedMs: number): void;
    ended(report: RunEnded): void;
  };
}

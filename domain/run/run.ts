import type { GrantProblem } from '#domain/base/errors.ts';
import type { IterationId, MissionId, UserId, WorkflowRunId } from '#domain/base/ids.ts';
import type { Agent } from '#domain/wire/agent.ts';
import type { FailureCode, IterationPhase, RunFailure } from '#domain/wire/iteration.ts';
import type { Mission } from '#domain/wire/mission.ts';

/**
 * What the parts of a run tell each other through Temporal: ids, counts, states, times and codes, never content
 * (docs/architecture.md section 3).
 */

/** The phases of an iteration, plus research and the two ends of a run, which the web app never sees. */
export type RunPhase = 'loading' | IterationPhase | 'researching' | 'finished';

/** How a run ends; stored as search attribute and as the workflow's result. */
export const RUN_OUTCOMES = [
  'planned',
  'empty-plan',
  'failed',
  'not-due',
  'already-running',
  'already-written',
  'paused',
  'deleted',
  'agent-paused',
  'agent-busy',
  'ran-elsewhere',
  'cancelled',
] as const;
export type RunOutcome = (typeof RUN_OUTCOMES)[number];

/** The search attribute of a run that could not even write that it failed; it has no result. */
export const STUCK = 'stuck';
/** How a run ended, as operators see it. */
export type RunEnd = RunOutcome | typeof STUCK;

/** Why a run ended that had claimed its instant and neither planned nor failed. */
export type EndCause = 'cancelled' | 'stopped' | 'agent-busy' | 'ran-elsewhere';

export interface LoadRunInput {
  readonly userId: UserId;
  readonly missionId: MissionId;
  readonly trigger: 'schedule' | 'projection' | 'run-now';
  readonly workflowId: string;
  readonly runId: WorkflowRunId;
  /** The workflow's start. */
  readonly startedAtMs: number;
  /** Nominal time of a scheduled run (`TemporalScheduledStartTime`), else null. */
  readonly scheduledAtMs: number | null;
}

export interface LoadedRun {
  readonly outcome: 'ready';
  readonly iterationId: IterationId;
  readonly agentId: string | null;
  /** `usable`, or why the mission's grant opens nothing. */
  readonly grant: 'usable' | GrantProblem;
  /** Title, concept or objective are ciphertext: without a usable grant there is nothing to plan from. */
  readonly ownFieldsEncrypted: boolean;
  /** How long the run may wait for a busy agent: until the next one is due, at most a day. */
  readonly longestWaitMs: number;
  /** The agent's tokens of the last 24 hours are used up, so nothing is opened. Absent in older runs. */
  readonly budgetExhausted?: boolean;
  /** The mission's record does not fit, so nothing is opened. Absent in older runs. */
  readonly tooLarge?: boolean;
  /** How often the model may be asked; `MAX_PLANNER_ROUNDS` where absent. */
  readonly maxRounds?: number;
  /** What the activities that come may be silent for, in milliseconds; absent in older runs. */
  readonly heartbeatTimeoutMs?: number;
  /** The instant that the run is due at, in epoch milliseconds; absent where the user asked for the run. */
  readonly dueAtMs?: number;
}

/** A gate ended the run. `iterationId` is there when the next instant still has to be written. */
export interface RefusedRun {
  readonly outcome: Exclude<RunOutcome, 'planned' | 'empty-plan' | 'failed' | 'cancelled' | 'agent-busy'>;
  readonly iterationId: IterationId | null;
}
export type LoadRunResult = LoadedRun | RefusedRun;

/** Names one run of one mission to an activity. */
export interface RunRef {
  readonly userId: UserId;
  readonly missionId: MissionId;
  readonly iterationId: IterationId;
  readonly runId: WorkflowRunId;
}

export interface SealResult {
  /** Null when the grant was accepted. */
  readonly problem: GrantProblem | null;
  readonly sealed: number;
  readonly failed: number;
  readonly scopeViolations: number;
  /** False when a field of the mission itself is ciphertext that did not open. */
  readonly ownFieldsReadable: boolean;
}

export interface PlanRoundInput extends RunRef {
  /** See `LoadedRun`: before the first round a browser may have taken the instant. */
  readonly dueAtMs?: number;
  readonly round: number;
  /** Rounds up to this one may follow in the same activity; absent where each has its own. */
  readonly lastRound?: number;
  readonly agentId: string | null;
  readonly grantUsable: boolean;
}

/** Why no further round is asked, and nothing but the claim's end is written. */
export type RoundStop = 'stopped' | 'ran-elsewhere';

/** Why there are no words of the user to plan from. */
export type WordsProblem = 'mission-undecryptable' | 'mission-empty' | 'key-changed';

export interface PlanRoundResult {
  /**
   * `continue` = the model called tools and waits for their answers, or its words were cut off. `transcript-lost` =
   * earlier rounds no longer open, because the grant was renewed or a codec key removed while the run was under way.
   * `research-wanted` = nothing was asked yet: the mission's words opt into research, which comes first.
   * `content-filtered` = the provider held its reply back, and nothing was planned before.
   * `stopped` = the mission or its agent is no longer active. `ran-elsewhere` = a browser has taken the instant.
   * `mission-undecryptable`, `mission-empty`, `key-changed` = the mission's own words are not there, so nobody was asked.
   */
  readonly status:
    | 'continue'
    | 'finished'
    | 'budget-exhausted'
    | 'transcript-lost'
    | 'research-wanted'
    | 'content-filtered'
    | WordsProblem
    | RoundStop;
  readonly steps: number;
  readonly totalTokens: number;
  /** With `research-wanted`: which. */
  readonly research?: ResearchKind;
  /** With `continue`: the conversation comes near the model's window and is to be compacted before the next round. */
  readonly compact?: boolean;
  /** The last round that was asked; absent where it is the one that was asked for. */
  readonly round?: number;
  /** With `continue`: the round behind that one failed, and may be asked again after so many milliseconds. */
  readonly pauseMs?: number;
}

/** docs/platform.md sections 11 and 12. */
export type ResearchKind = 'shallow' | 'deep';

export interface ResearchInput extends RunRef {
  readonly kind: ResearchKind;
  readonly agentId: string | null;
  readonly grantUsable: boolean;
}

export interface SubmitResearchResult {
  /** `submitted` = a deep task to wait for; `done` and `failed` = the note for the prompt is stored. */
  readonly state: 'submitted' | 'done' | 'failed';
}

/** Compacts what was said up to and including this round. */
export interface CompactTranscriptInput extends RunRef {
  readonly round: number;
  readonly agentId: string | null;
  readonly grantUsable: boolean;
}

export interface CompactTranscriptResult {
  readonly compacted: boolean;
  readonly totalTokens: number;
}

export type IterationResult =
  /** With `cutShort`: a later round failed, and what was planned before it stands. Absent in older runs. */
  | { readonly kind: 'planned'; readonly cutShort?: RunFailure }
  | { readonly kind: 'failed'; readonly failure: RunFailure }
  /**
   * No plan, only the next instant: an agent that is paused or busy, a run that was cancelled. Where the run had claimed its
   * instant, the iteration ends and says why; `stopped` where no cause is named.
   */
  | { readonly kind: 'advance-only'; readonly cause?: EndCause };

export interface WriteIterationInput extends RunRef {
  readonly startedAtMs: number;
  readonly grantUsable: boolean;
  /** The agent that the run began with; absent in runs of before claims. */
  readonly agentId?: string | null;
  readonly result: IterationResult;
  /** The run ends with this: what it holds is forgotten at once. Absent in older runs, which forget by themselves. */
  readonly thenForget?: true;
}

export interface WriteIterationResult {
  /**
   * What stands in the log: possibly less than was asked for, when the transcript can no longer be opened, or the mission or
   * its agent was stopped meanwhile.
   */
  readonly outcome: 'planned' | 'empty-plan' | 'failed' | 'advanced' | 'stopped' | 'mission-gone';
  readonly steps: number;
  readonly failureCode: FailureCode | null;
  /** Of the stored rounds, where they are the plan; absent in older runs, and where an earlier attempt wrote it. */
  readonly rounds?: number;
  readonly totalTokens?: number;
  /** What the run held is forgotten. */
  readonly forgotten?: true;
}

/** Result of the workflow. */
export interface MissionRunResult {
  readonly outcome: RunOutcome;
  readonly rounds: number;
  readonly steps: number;
  readonly totalTokens: number;
  readonly failureCode: FailureCode | null;
}

/** By how much a run may begin before its nominal time: both are of the server, but of two of its hosts. */
const EARLY_MS = 60_000;

/**
 * Due means: the instant lies not after the run's own nominal time, rounded up to the second because Temporal cuts
 * milliseconds. No worker's and no database's clock takes part (docs/architecture.md section 4). A run that has a time far ahead as its
 * nominal one is an operator's backfill of times to come, each of which would be paid for now.
 */
export function isDue(
  nextRunAtMs: number,
  run: Pick<LoadRunInput, 'startedAtMs' | 'scheduledAtMs'>,
): boolean {
  const nominalMs = Math.max(
    run.startedAtMs,
    Math.min(run.scheduledAtMs ?? -Infinity, run.startedAtMs + EARLY_MS),
  );
  return nextRunAtMs <= Math.ceil(nominalMs / 1000) * 1000;
}

/**
 * Whether a run under way has to end: its mission or the agent that it began with is no longer active, or that agent is gone.
 *
 * @param agentId of the run; null for one without an agent
 * @param agent what stands of it now
 */
export const isStopped = (
  mission: Pick<Mission, 'state'>,
  agentId: string | null,
  agent: Pick<Agent, 'state'> | null,
): boolean => mission.state !== 'active' || (agentId !== null && agent?.state !== 'active');

/**
 * One due instant of one mission of one user runs once, whoever starts it. JSON keeps the parts apart, since ids are
 * free text.
 */
export const dueKey = (userId: string, missionId: string, dueAtMs: number): string =>
  JSON.stringify(['due', userId, missionId, dueAtMs]);

/** A run that the user asked for is its own due instant. */
export const runNowKey = (userId: string, missionId: string, workflowId: string): string =>
  JSON.stringify(['run-now', userId, missionId, workflowId]);

/** Unattended rounds a run may take (docs/platform.md section 12). */
export const MAX_PLANNER_ROUNDS = 5;

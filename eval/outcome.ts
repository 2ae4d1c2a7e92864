import type { EvalMission, EvalStep } from './mission.ts';
import type { PlannerReply } from '#domain/planner/model/planner-reply.ts';

/** One request of a run and what the model said to it. */
export interface Exchange {
  /** Names of the tools that were offered. */
  readonly offered: readonly string[];
  readonly reply: PlannerReply;
}

/** What a run wrote back. */
export interface WrittenPlan {
  readonly status: string;
  /** A code; null where it did not fail. */
  readonly failure: string | null;
  readonly steps: readonly EvalStep[];
}

/** What became of a mission, and all that its model said. */
export interface Outcome {
  readonly mission: EvalMission;
  /** Null where the run did not end in time. */
  readonly plan: WrittenPlan | null;
  readonly exchanges: readonly Exchange[];
  /** As they were settled, in `mana_ai.token_usage`. */
  readonly rounds: number;
  readonly tokens: number;
}

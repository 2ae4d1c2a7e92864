/**
 * What happens to a step that bears a flag (`domain/planner/plan/step-review.ts`): with `flag` it is written as `staged`, which no device
 * carries out, and named to the user; `enforce` drops it.
 */
export const POLICY_MODES = ['flag', 'enforce'] as const;
export type PolicyMode = (typeof POLICY_MODES)[number];

/** How a runner plans; from its configuration. */
export interface PlannerSettings {
  /** Alias or `provider/model` (docs/platform.md section 10). */
  readonly model: string;
  /** Summarises conversations that come near the window; a cheaper one. */
  readonly compactModel: string;
  /** The window of `model`, in tokens: for request and reply together. */
  readonly contextTokens: number;
  /** `max_tokens` of a request, where the window has room for so many. */
  readonly maxReplyTokens: number;
  readonly maxRounds: number;
  readonly policyMode: PolicyMode;
  /** Of a user's missions without an agent, together, in any 24 hours; 0 = they do not run. */
  readonly defaultTokensPerDay: number;
}

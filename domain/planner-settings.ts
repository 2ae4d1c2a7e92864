/**
 * What happens to a step whose arguments bear marks of injected instructions: `flag` shows it to the user with a mark,
 * `enforce` drops it.
 */
export const POLICY_MODES = ['flag', 'enforce'] as const;
export type PolicyMode = (typeof POLICY_MODES)[number];

/** How a runner plans; from its configuration. */
export interface PlannerSettings {
  /** Alias or `provider/model` (contract section 10). */
  readonly model: string;
  /** Summarises conversations that come near the window; a cheaper one. */
  readonly compactModel: string;
  /** The window of `model`, in tokens. */
  readonly contextTokens: number;
  readonly maxRounds: number;
  readonly policyMode: PolicyMode;
}

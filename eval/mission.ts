import type { PromptLanguage } from '#domain/base/language.ts';

type Fields = Readonly<Record<string, unknown>>;

export const MISSION_KINDS = ['plain', 'inputs', 'feedback', 'empty', 'hostile', 'long'] as const;

/** A step of a plan, as far as it is looked at. */
export interface EvalStep {
  readonly toolName: string;
  readonly params: Fields;
}

/** What can be seen of a plan without understanding it. */
export type Rule =
  /** Both ends included. */
  | { readonly kind: 'steps'; readonly from: number; readonly to: number }
  /** At least one step of one of these tools. */
  | { readonly kind: 'uses'; readonly tools: readonly string[] }
  /** No step of any other tool. */
  | { readonly kind: 'only'; readonly tools: readonly string[] }
  | { readonly kind: 'never'; readonly tools: readonly string[] }
  /** Some step holds one of these texts, whatever their case; or none does. */
  | { readonly kind: 'says' | 'never-says'; readonly texts: readonly string[] }
  /** Every step of this tool has the parameter, with this value where one is given. */
  | { readonly kind: 'always'; readonly tool: string; readonly param: string; readonly value?: unknown }
  /** Steps name these records by their ids, and no others. */
  | { readonly kind: 'records'; readonly param: string; readonly ids: readonly string[] }
  /** From 0, Sunday; as the text of the time says it. */
  | { readonly kind: 'weekday'; readonly tool: string; readonly param: string; readonly day: number };

export interface EvalRecord {
  /** A name of `INPUT_MODULES`. */
  readonly module: string;
  readonly id: string;
  readonly fields: Fields;
  /** Of a calendar event, days from now and hours in UTC. */
  readonly at?: { readonly inDays: number; readonly hour: number; readonly hours: number };
}

/** An earlier run, the oldest first. */
export interface EarlierRun {
  readonly daysAgo: number;
  readonly summary: string;
  readonly feedback?: string;
  readonly steps: readonly (EvalStep & { readonly status: string })[];
}

/** A mission as its user wrote it, and what a good plan for it has in common with any other good one. */
export interface EvalMission {
  readonly id: string;
  readonly kind: (typeof MISSION_KINDS)[number];
  readonly language: PromptLanguage;
  /** Stands in no other mission: exchanges with the model are told apart by it. */
  readonly title: string;
  readonly objective: string;
  readonly cadence: Fields;
  /** Inputs, granted and encrypted as the web app does; a mission without any is in clear and has no grant. */
  readonly records: readonly EvalRecord[];
  readonly earlier: readonly EarlierRun[];
  /** Of an agent; without one the tools' own defaults hold. */
  readonly policy: Fields | null;
  readonly expects: readonly Rule[];
  /** What the user's feedback on earlier runs asks for. */
  readonly feedback: readonly Rule[];
  /** Tools that may not even be called: denied by the policy, or only wanted by data that tries to give orders. */
  readonly forbidden: readonly string[];
}

import { GRANT_PROBLEMS, type GrantProblem } from '#domain/base/errors.ts';
import { instantMs } from '#domain/base/instant.ts';

/** An element of `iterations` as some device wrote it; only `id` is sure. */
export type StoredIteration = Readonly<Record<string, unknown>> & { readonly id: string };

/** What a run writes before it plans: devices show it, and leave its empty plan alone (docs/platform.md section 2). */
export interface RunningIteration {
  readonly id: string;
  readonly startedAt: string;
  readonly plan: readonly [];
  readonly overallStatus: 'running';
  readonly source: 'server';
  readonly currentPhase: 'resolving-inputs';
  readonly phaseStartedAt: string;
}

/** The iteration that a run writes (docs/platform.md section 2). */
export interface ServerIteration {
  readonly id: string;
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly summary: string;
  readonly plan: readonly PlanStep[];
  readonly overallStatus: 'awaiting-review' | 'approved' | 'failed';
  readonly source: 'server';
  readonly errorDetails?: { readonly name: FailureCode; readonly message: string; readonly phase: string };
}

/**
 * A step of a server iteration (docs/platform.md section 2). The web app carries out every `planned` step as soon as it has
 * pulled it, without asking; a `staged` one is left alone by every device.
 */
export interface PlanStep {
  readonly id: string;
  /** User content: belongs into the iteration and nowhere else. */
  readonly summary: string;
  readonly intent: {
    readonly kind: 'toolCall';
    readonly toolName: string;
    readonly params: Readonly<Record<string, unknown>>;
  };
  /** `planned` while the run is under way; `staged` on the wire for a step that bears flags (`wireSteps`). */
  readonly status: 'planned' | 'staged';
  /** Why no device may carry it out unseen; codes, kept between rounds and not written on the wire. */
  readonly flags?: readonly string[];
}

/** Begins the summary of a step that is held back, and each warning in the summary of an iteration. */
export const FLAG_SIGN = '⚠ ';

const OWN_FAILURES = [
  'mission-undecryptable',
  'mission-empty',
  'mission-too-large',
  'budget-exhausted',
  'gateway-unavailable',
  'unreadable-reply',
  'gateway-rejected',
  'content-filtered',
  'provider-error',
  'model-refused',
  'empty-reply',
  'no-plan',
  'rounds-used-up',
  'plan-cut-off',
  'window-too-small',
  'overloaded',
  'run-interrupted',
  'worker-lost',
  'run-cancelled',
  'run-stopped',
  'agent-busy',
] as const;
/** Why an iteration is written as failed; `errorDetails.name` on the wire. */
export type FailureCode = `grant-${GrantProblem}` | (typeof OWN_FAILURES)[number];
export const FAILURE_CODES: readonly FailureCode[] = [
  ...GRANT_PROBLEMS.map((problem): FailureCode => `grant-${problem}`),
  ...OWN_FAILURES,
];

/** Where a run failed, in the contract's words (docs/platform.md section 2). */
export type IterationPhase = 'resolving-inputs' | 'calling-llm' | 'parsing-response' | 'finalizing';

export interface RunFailure {
  readonly code: FailureCode;
  readonly phase: IterationPhase;
}

/** An iteration, or a step of its plan, as some device wrote it: any field may be of any type. */
export type StoredObject = Readonly<Record<string, unknown>>;

export const isObject = (value: unknown): value is StoredObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Null for an entry that cannot be told from others. */
export const idOf = ({ id }: StoredObject): string | null =>
  typeof id === 'string' && id !== '' ? id : null;

export const stepsOf = ({ plan }: StoredObject): readonly unknown[] => (Array.isArray(plan) ? plan : []);

/** Epoch milliseconds; an iteration without a readable start comes before all others. */
export const startMsOf = ({ startedAt }: StoredObject): number => instantMs(startedAt) ?? 0;

/** Whether the user said anything, or a device noted a proposal. */
export const isFilled = (value: unknown): boolean => value !== undefined && value !== null && value !== '';

/**
 * How far a step has come: planned, then staged as a proposal, then decided. A step never goes back, so a stale array
 * shows by a lower rank; among decisions the newest counts. An unknown status is one of a newer web app: decided.
 */
export const stepRank = (status: unknown): number =>
  typeof status !== 'string' ? -1 : status === 'planned' ? 0 : status === 'staged' ? 1 : 2;

/** Likewise of an iteration that we wrote: it runs, then waits until the user has decided. */
export const overallRank = (status: unknown): number =>
  typeof status !== 'string' ? -2 : status === 'running' ? -1 : status === 'awaiting-review' ? 0 : 1;

/** The claim of a run of ours: what it came to will stand in its place. */
export const isOurClaim = (iteration: StoredObject): boolean =>
  iteration['source'] === 'server' && iteration['overallStatus'] === 'running';

/** The code that an iteration bears, whoever wrote it; null for none that we know. */
export function failureCodeIn({ errorDetails }: StoredObject): FailureCode | null {
  return FAILURE_CODES.find((code) => isObject(errorDetails) && errorDetails['name'] === code) ?? null;
}

/**
 * What tells whether two steps are the same: the tool and its arguments, in whatever order and with whatever blanks and
 * capitals they were written.
 *
 * @param params nested no deeper than a reply or a record may be
 */
export const stepIdentity = (toolName: string, params: Readonly<Record<string, unknown>>): string =>
  `${toolName} ${canonicalJson(params)}`;

/** JSON with sorted keys and plain texts. */
function canonicalJson(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(plainText(value));
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item)}`).join(',')}}`;
}

const plainText = (text: string): string => text.normalize('NFC').replace(/\s+/g, ' ').trim().toLowerCase();

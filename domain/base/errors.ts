/**
 * The closed set of conditions that this project reports. Each class has a stable `code`; `activities/failures.ts`
 * maps every code to an ApplicationFailure, `api/errors.ts` every code to an HTTP status, and a test walks both.
 * Messages name what was found and what is allowed. They never hold user content, key bytes or provider text.
 */
export const ERROR_CODES = [
  'BAD_REQUEST',
  'UNAUTHORIZED',
  'NOT_FOUND',
  'RATE_LIMITED',
  'VAULT_NOT_INITIALISED',
  'ZK_ACTIVE',
  'GRANT_NOT_CONFIGURED',
  'VAULT_UNREADABLE',
  'IDENTITY_UNAVAILABLE',
  'GRANT_UNUSABLE',
  'GATEWAY_UNAVAILABLE',
  'GATEWAY_REJECTED',
  'GATEWAY_DENIED',
  'WINDOW_TOO_SMALL',
  'SLOT_BUSY',
  'BUDGET_RESERVED',
  'RESEARCH_PENDING',
  'RESEARCH_UNAVAILABLE',
  'RESEARCH_DENIED',
  'RESEARCH_REJECTED',
  'RUN_KEY_LOST',
  'RUN_ENDED',
  'EVENT_ID_CONFLICT',
  'WORKER_LOST',
  'TURN_TAKEN',
  'TEMPORAL_UNAVAILABLE',
  'DATABASE_UNAVAILABLE',
  'ALREADY_RUNNING',
  'MISSION_NOT_ACTIVE',
  'AGENT_NOT_ACTIVE',
  'RUN_FINISHED',
  'PLANNING_STOPPED',
  'USER_ERASED',
] as const;
export type ErrorCode = (typeof ERROR_CODES)[number];

/** An error whose text is ours and holds no content: the log may keep it. */
export abstract class OwnError extends Error {}

export abstract class MissionError extends OwnError {
  abstract readonly code: ErrorCode;
}

export class BadRequestError extends MissionError {
  readonly code = 'BAD_REQUEST';
}
export class UnauthorizedError extends MissionError {
  readonly code = 'UNAUTHORIZED';
}
export class NotFoundError extends MissionError {
  readonly code = 'NOT_FOUND';
}
export class RateLimitedError extends MissionError {
  readonly code = 'RATE_LIMITED';
}

/** No vault row, or a user that `auth.users` does not know (docs/platform.md section 7). */
export class VaultNotInitialisedError extends MissionError {
  readonly code = 'VAULT_NOT_INITIALISED';
  constructor() {
    super('this account has no encryption vault; set one up in the web app, then ask again');
  }
}
/** Zero-knowledge mode: the server holds no way to the master key (docs/platform.md section 6). */
export class ZeroKnowledgeError extends MissionError {
  readonly code = 'ZK_ACTIVE';
  constructor() {
    super('zero-knowledge mode is on: the server can read nothing, so missions cannot be granted access');
  }
}
export class GrantNotConfiguredError extends MissionError {
  readonly code = 'GRANT_NOT_CONFIGURED';
  constructor() {
    super('this server has no key for grants; missions without encrypted records still run');
  }
}
/** The vault row exists but does not open. Why is nobody's business outside. */
export class VaultUnreadableError extends MissionError {
  readonly code = 'VAULT_UNREADABLE';
  constructor() {
    super('the encryption vault could not be opened');
  }
}
/** The keys that sign user tokens cannot be fetched; the caller's token may be fine. */
export class IdentityUnavailableError extends MissionError {
  readonly code = 'IDENTITY_UNAVAILABLE';
  constructor(options?: ErrorOptions) {
    super('the identity service cannot be reached; try again', options);
  }
}

export const GRANT_PROBLEMS = [
  'absent',
  'not-configured',
  'expired',
  'malformed',
  'wrap-rejected',
  'revoked',
  'unknown',
  'zero-knowledge',
  'vault-missing',
  'vault-unreadable',
  /** The master key is another than when the grant was issued. */
  'key-changed',
] as const;
/** Why a grant opens nothing; the first five after `absent` are the contract's (docs/platform.md section 7). */
export type GrantProblem = (typeof GRANT_PROBLEMS)[number];

/** A grant that was fine when the run began no longer is. */
export class GrantUnusableError extends MissionError {
  readonly code = 'GRANT_UNUSABLE';
  readonly problem: GrantProblem;
  constructor(problem: GrantProblem) {
    super(`the mission's grant cannot be used: ${problem}`);
    this.problem = problem;
  }
}

/** What became of a gateway call that gave no reply (docs/platform.md section 10). No provider text is kept. */
export interface GatewayProblem {
  /** `detail.kind` if the gateway named one of its own, else null. */
  readonly kind: string | null;
  /** HTTP status, or null when no response arrived. */
  readonly status: number | null;
  /** `Retry-After` in milliseconds from now, never negative; null when absent or unreadable. */
  readonly retryAfterMs: number | null;
  /** True where no connection came about, so that nothing can have been charged; absent where that is not known. */
  readonly notSent?: true;
  /** We did not send it, because the gateway is overloaded: no failure of this request. */
  readonly heldBack?: true;
  /** True where the request was larger than the model's window. */
  readonly overflow?: true;
  /** True where that may be so: the gateway hides what the provider said to its 400. */
  readonly mayOverflow?: true;
}
/** How often one call of the model has ended without a reply to read, the last time included. */
export interface CallFailures {
  readonly failures: number;
  /** Refusals of the gateway among them. */
  readonly refusals: number;
  /** Replies among them that held nothing to read, each of them paid for. */
  readonly unreadable: number;
}
/** Null where nobody could count: then the attempts of the activity stand for it. */
type Counted = CallFailures | null;

/** Worth another try later. */
export class GatewayUnavailableError extends MissionError {
  readonly code = 'GATEWAY_UNAVAILABLE';
  readonly problem: GatewayProblem;
  readonly counted: Counted;
  constructor(problem: GatewayProblem, counted: Counted = null) {
    super(
      `the gateway gave no usable reply: status ${problem.status ?? 'none'}, kind ${problem.kind ?? 'none'}`,
    );
    this.problem = problem;
    this.counted = counted;
  }
}
/** Our key, or the provider's, is not accepted: the operator's to mend, and no user's fault. Worth another try later. */
export class GatewayDeniedError extends MissionError {
  readonly code = 'GATEWAY_DENIED';
  readonly problem: GatewayProblem;
  readonly counted: Counted;
  constructor(problem: GatewayProblem, counted: Counted = null) {
    super(
      `the gateway or its provider accepts no key of ours: status ${problem.status ?? 'none'}, kind ${problem.kind ?? 'none'}`,
    );
    this.problem = problem;
    this.counted = counted;
  }
}
/** Asking again would give the same answer. */
export class GatewayRejectedError extends MissionError {
  readonly code = 'GATEWAY_REJECTED';
  readonly problem: GatewayProblem;
  /** A 400 with plain text may be a provider's hiccup: one more try is worth it (docs/platform.md section 10). */
  readonly worthOneMoreTry: boolean;
  readonly counted: Counted;
  constructor(problem: GatewayProblem, worthOneMoreTry = false, counted: Counted = null) {
    super(`the gateway refused: status ${problem.status ?? 'none'}, kind ${problem.kind ?? 'none'}`);
    this.problem = problem;
    this.worthOneMoreTry = worthOneMoreTry;
    this.counted = counted;
  }
}
/** The model reads less at a time than the smallest request that we make of a mission. */
export class WindowTooSmallError extends MissionError {
  readonly code = 'WINDOW_TOO_SMALL';
  constructor() {
    super('the request was larger than the window of the model, and so was a smaller one');
  }
}
/** What became of a call of the gateway that brought no reply. */
export type GatewayFailure = GatewayUnavailableError | GatewayRejectedError | GatewayDeniedError;

export const isGatewayFailure = (error: unknown): error is GatewayFailure =>
  error instanceof GatewayUnavailableError ||
  error instanceof GatewayRejectedError ||
  error instanceof GatewayDeniedError;

/** The same failure, with what was counted. */
export function withCount(error: GatewayFailure, counted: Counted): GatewayFailure {
  if (error instanceof GatewayRejectedError)
    return new GatewayRejectedError(error.problem, error.worthOneMoreTry, counted);
  return error instanceof GatewayDeniedError
    ? new GatewayDeniedError(error.problem, counted)
    : new GatewayUnavailableError(error.problem, counted);
}

/** The mission's agent runs as many missions as it may; the run waits. */
export class SlotBusyError extends MissionError {
  readonly code = 'SLOT_BUSY';
  readonly iterationId: string;
  /** How long a run of this mission may wait, in milliseconds. */
  readonly longestWaitMs: number;
  constructor(iterationId: string, longestWaitMs: number) {
    super('the agent already runs as many missions as it may; waiting for a free slot');
    this.iterationId = iterationId;
    this.longestWaitMs = longestWaitMs;
  }
}
/** Rounds of other missions hold what is left of the agent's budget; what they do not use comes back. */
export class BudgetReservedError extends MissionError {
  readonly code = 'BUDGET_RESERVED';
  constructor() {
    super('other runs of the agent have reserved what is left of its budget; waiting for them to settle');
  }
}
/** A deep task is under way; it takes up to an hour (docs/platform.md section 11). */
export class ResearchPendingError extends MissionError {
  readonly code = 'RESEARCH_PENDING';
  constructor() {
    super('the research task is not finished yet; asking again later');
  }
}
/** A research service gave no answer to understand; another try may help. */
export class ResearchUnavailableError extends MissionError {
  readonly code = 'RESEARCH_UNAVAILABLE';
  /** HTTP status, or null when no response arrived or none that could be read. */
  readonly status: number | null;
  /** `Retry-After` in milliseconds from now; null when absent or unreadable. */
  readonly retryAfterMs: number | null;
  /** False where a task may have been submitted all the same: it must not be again. */
  readonly worthAnotherTry: boolean;
  constructor(
    refusal: { readonly status: number; readonly retryAfterMs: number | null } | null,
    worthAnotherTry = true,
  ) {
    super(`the research service gave no usable answer: status ${refusal?.status ?? 'none'}`);
    this.status = refusal?.status ?? null;
    this.retryAfterMs = refusal?.retryAfterMs ?? null;
    this.worthAnotherTry = worthAnotherTry;
  }
}
/** The service wants a key or a token that a background run does not have: the operator's to mend, and no reason to fail. */
export class ResearchDeniedError extends MissionError {
  readonly code = 'RESEARCH_DENIED';
  readonly status: number;
  /** True of a task that was submitted, and paid for: a key that is mended meanwhile finds it. */
  readonly worthAnotherTry: boolean;
  constructor(status: number, worthAnotherTry = false) {
    super(`the research service accepts no key of ours: status ${status}`);
    this.status = status;
    this.worthAnotherTry = worthAnotherTry;
  }
}
/** The service refuses what it is asked, and would again: a wrong address, no credits, a request that it does not know. */
export class ResearchRejectedError extends MissionError {
  readonly code = 'RESEARCH_REJECTED';
  readonly status: number;
  constructor(status: number) {
    super(`the research service refused: status ${status}`);
    this.status = status;
  }
}
/** Another process may still have the codec key under which the key of the run was wrapped. */
export class RunKeyLostError extends MissionError {
  readonly code = 'RUN_KEY_LOST';
  constructor() {
    super('the key of the run was wrapped under a codec key that this process does not have');
  }
}
/** The run does not hold its mission any more: it has ended, and nobody waits for what is done for it. */
export class RunEndedError extends MissionError {
  readonly code = 'RUN_ENDED';
  constructor() {
    super('the run has ended meanwhile; nothing is done for it any more');
  }
}
/** Another user's row holds our event id. Only somebody who guessed it can cause this; nothing is overwritten. */
export class EventIdConflictError extends MissionError {
  readonly code = 'EVENT_ID_CONFLICT';
  constructor() {
    super('the event id of this iteration is taken by a row that is not ours');
  }
}

/** Attempts whose worker died or went silent before the work is given up. */
export const MAX_LOST_ATTEMPTS = 3;

/** The work took its worker with it too often: whatever the cause, it is not handed on any more. */
export class WorkerLostError extends MissionError {
  readonly code = 'WORKER_LOST';
  /** Where the failure is to be written; null where the workflow knows. */
  readonly iterationId: string | null;
  constructor(iterationId: string | null = null) {
    super(`the worker died or went silent in ${MAX_LOST_ATTEMPTS} attempts; the work is given up`);
    this.iterationId = iterationId;
  }
}
/** Work that is suspected of ending its worker is done one at a time, so that the innocent are not given up with it. */
export class TurnTakenError extends MissionError {
  readonly code = 'TURN_TAKEN';
  constructor() {
    super('other work that may have ended its worker is under way; waiting for its end');
  }
}

/** Temporal gave no answer. What was asked for may be fine, and nothing was changed. */
export class TemporalUnavailableError extends MissionError {
  readonly code = 'TEMPORAL_UNAVAILABLE';
  constructor(options?: ErrorOptions) {
    super('the service that runs missions cannot be reached; try again', options);
  }
}
/**
 * The database gave no answer: no connection, none in time, or one that ended under way. What was sent as a commit may have
 * been done.
 */
export class DatabaseUnavailableError extends MissionError {
  readonly code = 'DATABASE_UNAVAILABLE';
  constructor(options?: ErrorOptions) {
    super('the database does not answer; try again', options);
  }
}
/** A mission has one run at a time, whoever starts it. */
export class AlreadyRunningError extends MissionError {
  readonly code = 'ALREADY_RUNNING';
  constructor() {
    super('a run of this mission is under way; wait for its end or cancel it');
  }
}
export class MissionNotActiveError extends MissionError {
  readonly code = 'MISSION_NOT_ACTIVE';
  constructor() {
    super('the mission is not active; resume it in the web app, then run it');
  }
}
export class AgentNotActiveError extends MissionError {
  readonly code = 'AGENT_NOT_ACTIVE';
  constructor() {
    super("the mission's agent is not active; resume the agent in the web app, then run the mission");
  }
}
export class RunFinishedError extends MissionError {
  readonly code = 'RUN_FINISHED';
  constructor() {
    super('the run has ended; there is nothing to cancel');
  }
}
/** An operator has stopped the planning of all missions. What is due runs once it goes on; what is asked for would not. */
export class PlanningStoppedError extends MissionError {
  readonly code = 'PLANNING_STOPPED';
  constructor() {
    super('an operator has stopped the planning of missions for now; try again later');
  }
}
/** An operator has erased the user; nothing is kept and nothing is done for that id any more. */
export class UserErasedError extends MissionError {
  readonly code = 'USER_ERASED';
  constructor() {
    super('this account was erased; nothing is kept of it, and nothing is done for it any more');
  }
}

import { ApplicationFailure } from '@temporalio/common';
import {
  GatewayRejectedError,
  GatewayUnavailableError,
  GrantUnusableError,
  isGatewayFailure,
  MissionError,
  ResearchDeniedError,
  ResearchUnavailableError,
  SlotBusyError,
  WorkerLostError,
  type ErrorCode,
} from '#domain/base/errors.ts';

/** What an activity tells Temporal: the code as failure type, ids and states as details, never content. */
export interface FailureRule {
  /** False where another attempt would end the same way. */
  readonly retryable: boolean;
}

/** Every code has its rule; the compiler asks for a new one's. */
export const FAILURE_RULES: Readonly<Record<ErrorCode, FailureRule>> = {
  BAD_REQUEST: { retryable: false },
  UNAUTHORIZED: { retryable: false },
  NOT_FOUND: { retryable: false },
  RATE_LIMITED: { retryable: true },
  VAULT_NOT_INITIALISED: { retryable: false },
  ZK_ACTIVE: { retryable: false },
  GRANT_NOT_CONFIGURED: { retryable: false },
  VAULT_UNREADABLE: { retryable: false },
  IDENTITY_UNAVAILABLE: { retryable: true },
  GRANT_UNUSABLE: { retryable: false },
  GATEWAY_UNAVAILABLE: { retryable: true },
  GATEWAY_REJECTED: { retryable: false },
  GATEWAY_DENIED: { retryable: true },
  WINDOW_TOO_SMALL: { retryable: false },
  SLOT_BUSY: { retryable: true },
  BUDGET_RESERVED: { retryable: true },
  RESEARCH_PENDING: { retryable: true },
  RESEARCH_UNAVAILABLE: { retryable: true },
  RESEARCH_DENIED: { retryable: false },
  RESEARCH_REJECTED: { retryable: false },
  RUN_KEY_LOST: { retryable: false },
  RUN_ENDED: { retryable: false },
  EVENT_ID_CONFLICT: { retryable: false },
  WORKER_LOST: { retryable: false },
  TURN_TAKEN: { retryable: true },
  TEMPORAL_UNAVAILABLE: { retryable: true },
  DATABASE_UNAVAILABLE: { retryable: true },
  ALREADY_RUNNING: { retryable: false },
  MISSION_NOT_ACTIVE: { retryable: false },
  AGENT_NOT_ACTIVE: { retryable: false },
  RUN_FINISHED: { retryable: false },
  PLANNING_STOPPED: { retryable: true },
  USER_ERASED: { retryable: false },
};

/** When the next attempt should come, in milliseconds; undefined leaves it to the activity's retry policy. */
export type RetryDelay = (error: MissionError, attempt: number) => number | undefined;

/**
 * Turns what an activity threw into what Temporal may know. Errors that are not ours come from libraries, whose texts may
 * quote values: only their class name goes on.
 */
export function toApplicationFailure(
  error: unknown,
  attempt: number,
  retryDelay: RetryDelay,
): ApplicationFailure {
  if (error instanceof ApplicationFailure) return error;
  if (!(error instanceof MissionError)) {
    return ApplicationFailure.create({ type: 'UNEXPECTED', message: `unexpected ${classNameOf(error)}` });
  }
  const nextRetryDelay = retryDelay(error, attempt);
  return ApplicationFailure.create({
    type: error.code,
    message: error.message,
    nonRetryable: !isRetryable(error, attempt),
    details: detailsOf(error),
    ...(nextRetryDelay === undefined ? {} : { nextRetryDelay }),
  });
}

function isRetryable(error: MissionError, attempt: number): boolean {
  // A call that met a broken connection or a killed worker before has its one more try still.
  if (error instanceof GatewayRejectedError && error.worthOneMoreTry)
    return (error.counted?.refusals ?? attempt) === 1;
  // Each of them is paid for.
  if (error instanceof GatewayUnavailableError && (error.counted?.unreadable ?? 0) > 1) return false;
  if (error instanceof ResearchUnavailableError || error instanceof ResearchDeniedError)
    return error.worthAnotherTry;
  return FAILURE_RULES[error.code].retryable;
}

function detailsOf(error: MissionError): unknown[] {
  if (error instanceof GrantUnusableError) return [error.problem];
  if (isGatewayFailure(error)) return [error.problem];
  if (error instanceof WorkerLostError && error.iterationId !== null) return [error.iterationId];
  if (error instanceof SlotBusyError) return [error.iterationId, error.longestWaitMs];
  return [];
}

const classNameOf = (error: unknown): string => {
  if (!(error instanceof Error)) return typeof error;
  const sqlState = 'code' in error && typeof error.code === 'string' ? ` (${error.code})` : '';
  return `${error.constructor.name}${sqlState}`;
};

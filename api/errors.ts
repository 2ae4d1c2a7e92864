import type { ErrorCode } from '#domain/base/errors.ts';

interface HttpError {
  readonly status: number;
  readonly code: string;
  /** False: the caller gets no more than `internal error`. */
  readonly messageIsPublic: boolean;
}

const shown = (status: number, code: string): HttpError => ({ status, code, messageIsPublic: true });

/** The answer to whatever must not be explained to a caller. */
export const INTERNAL_ERROR: HttpError = { status: 500, code: 'INTERNAL', messageIsPublic: false };
export const INTERNAL_MESSAGE = 'internal error';

/** The answer to a request that took too long; what it began may still be done. */
export const TIMEOUT_ERROR: HttpError = shown(503, 'TIMEOUT');
export const TIMEOUT_MESSAGE = 'the request took too long; try again';

/** Every error code as HTTP (docs/platform.md section 7). Conditions of a run cannot come out of a request. */
export const HTTP_ERRORS: Readonly<Record<ErrorCode, HttpError>> = {
  BAD_REQUEST: shown(400, 'BAD_REQUEST'),
  UNAUTHORIZED: shown(401, 'UNAUTHORIZED'),
  NOT_FOUND: shown(404, 'NOT_FOUND'),
  RATE_LIMITED: shown(429, 'RATE_LIMITED'),
  VAULT_NOT_INITIALISED: shown(404, 'VAULT_NOT_INITIALISED'),
  ZK_ACTIVE: shown(409, 'ZK_ACTIVE'),
  GRANT_NOT_CONFIGURED: shown(503, 'GRANT_NOT_CONFIGURED'),
  IDENTITY_UNAVAILABLE: shown(503, 'IDENTITY_UNAVAILABLE'),
  TEMPORAL_UNAVAILABLE: shown(503, 'TEMPORAL_UNAVAILABLE'),
  DATABASE_UNAVAILABLE: shown(503, 'DATABASE_UNAVAILABLE'),
  ALREADY_RUNNING: shown(409, 'ALREADY_RUNNING'),
  MISSION_NOT_ACTIVE: shown(409, 'MISSION_NOT_ACTIVE'),
  AGENT_NOT_ACTIVE: shown(409, 'AGENT_NOT_ACTIVE'),
  RUN_FINISHED: shown(409, 'RUN_FINISHED'),
  PLANNING_STOPPED: shown(503, 'PLANNING_STOPPED'),
  USER_ERASED: shown(401, 'USER_ERASED'),
  VAULT_UNREADABLE: INTERNAL_ERROR,
  GRANT_UNUSABLE: INTERNAL_ERROR,
  GATEWAY_UNAVAILABLE: INTERNAL_ERROR,
  GATEWAY_REJECTED: INTERNAL_ERROR,
  GATEWAY_DENIED: INTERNAL_ERROR,
  WINDOW_TOO_SMALL: INTERNAL_ERROR,
  RESEARCH_DENIED: INTERNAL_ERROR,
  RESEARCH_REJECTED: INTERNAL_ERROR,
  RUN_KEY_LOST: INTERNAL_ERROR,
  RUN_ENDED: INTERNAL_ERROR,
  SLOT_BUSY: INTERNAL_ERROR,
  BUDGET_RESERVED: INTERNAL_ERROR,
  RESEARCH_PENDING: INTERNAL_ERROR,
  RESEARCH_UNAVAILABLE: INTERNAL_ERROR,
  EVENT_ID_CONFLICT: INTERNAL_ERROR,
  WORKER_LOST: INTERNAL_ERROR,
  TURN_TAKEN: INTERNAL_ERROR,
};

import { ApplicationFailure } from '@temporalio/common';
import { describe, expect, it } from 'vitest';
import { FAILURE_RULES, toApplicationFailure } from './failures.ts';
import {
  AgentNotActiveError,
  AlreadyRunningError,
  BadRequestError,
  BudgetReservedError,
  DatabaseUnavailableError,
  ERROR_CODES,
  EventIdConflictError,
  GatewayDeniedError,
  GatewayRejectedError,
  GatewayUnavailableError,
  GrantNotConfiguredError,
  GrantUnusableError,
  IdentityUnavailableError,
  MissionNotActiveError,
  NotFoundError,
  PlanningStoppedError,
  RateLimitedError,
  ResearchPendingError,
  ResearchDeniedError,
  ResearchRejectedError,
  ResearchUnavailableError,
  RunEndedError,
  RunFinishedError,
  UserErasedError,
  RunKeyLostError,
  SlotBusyError,
  TemporalUnavailableError,
  TurnTakenError,
  WindowTooSmallError,
  WorkerLostError,
  UnauthorizedError,
  VaultNotInitialisedError,
  VaultUnreadableError,
  ZeroKnowledgeError,
  type ErrorCode,
  type MissionError,
} from '#domain/base/errors.ts';

const problem = { kind: 'rate_limit', status: 429, retryAfterMs: 1_000 };

/** One error of each code; the compiler asks for a new one's. */
const EXAMPLES: Readonly<Record<ErrorCode, MissionError>> = {
  BAD_REQUEST: new BadRequestError('x'),
  UNAUTHORIZED: new UnauthorizedError('x'),
  NOT_FOUND: new NotFoundError('x'),
  RATE_LIMITED: new RateLimitedError('x'),
  VAULT_NOT_INITIALISED: new VaultNotInitialisedError(),
  ZK_ACTIVE: new ZeroKnowledgeError(),
  GRANT_NOT_CONFIGURED: new GrantNotConfiguredError(),
  VAULT_UNREADABLE: new VaultUnreadableError(),
  IDENTITY_UNAVAILABLE: new IdentityUnavailableError(),
  GRANT_UNUSABLE: new GrantUnusableError('revoked'),
  GATEWAY_UNAVAILABLE: new GatewayUnavailableError(problem),
  GATEWAY_REJECTED: new GatewayRejectedError(problem),
  GATEWAY_DENIED: new GatewayDeniedError(problem),
  WINDOW_TOO_SMALL: new WindowTooSmallError(),
  SLOT_BUSY: new SlotBusyError('i1', 60_000),
  BUDGET_RESERVED: new BudgetReservedError(),
  RESEARCH_PENDING: new ResearchPendingError(),
  RESEARCH_UNAVAILABLE: new ResearchUnavailableError(null),
  RESEARCH_DENIED: new ResearchDeniedError(401),
  RESEARCH_REJECTED: new ResearchRejectedError(404),
  RUN_KEY_LOST: new RunKeyLostError(),
  RUN_ENDED: new RunEndedError(),
  EVENT_ID_CONFLICT: new EventIdConflictError(),
  WORKER_LOST: new WorkerLostError('i1'),
  TURN_TAKEN: new TurnTakenError(),
  TEMPORAL_UNAVAILABLE: new TemporalUnavailableError(),
  DATABASE_UNAVAILABLE: new DatabaseUnavailableError(),
  ALREADY_RUNNING: new AlreadyRunningError(),
  MISSION_NOT_ACTIVE: new MissionNotActiveError(),
  AGENT_NOT_ACTIVE: new AgentNotActiveError(),
  RUN_FINISHED: new RunFinishedError(),
  PLANNING_STOPPED: new PlanningStoppedError(),
  USER_ERASED: new UserErasedError(),
};
const DETAILS: Partial<Record<ErrorCode, unknown[]>> = {
  GRANT_UNUSABLE: ['revoked'],
  GATEWAY_UNAVAILABLE: [problem],
  GATEWAY_REJECTED: [problem],
  GATEWAY_DENIED: [problem],
  SLOT_BUSY: ['i1', 60_000],
  WORKER_LOST: ['i1'],
};
const noDelay = () => undefined;

describe('toApplicationFailure', () => {
  it.each(ERROR_CODES)('%s becomes a failure of that type, retried exactly as the table says', (code) => {
    const error = EXAMPLES[code];
    expect(error.code).toBe(code);
    const failure = toApplicationFailure(error, 1, noDelay);
    expect(failure).toMatchObject({ type: code, nonRetryable: !FAILURE_RULES[code].retryable });
    expect(failure.details).toEqual(DETAILS[code] ?? []);
    expect(failure.message).toBe(error.message);
    expect(failure.nextRetryDelay).toBeUndefined();
  });

  it('the table has a rule for each code and for nothing else', () => {
    expect(Object.keys(FAILURE_RULES).sort()).toEqual([...ERROR_CODES].sort());
  });

  it('only what another attempt may change is retried', () => {
    const retried = ERROR_CODES.filter((code) => FAILURE_RULES[code].retryable);
    expect(retried).toEqual([
      'RATE_LIMITED',
      'IDENTITY_UNAVAILABLE',
      'GATEWAY_UNAVAILABLE',
      'GATEWAY_DENIED',
      'SLOT_BUSY',
      'BUDGET_RESERVED',
      'RESEARCH_PENDING',
      'RESEARCH_UNAVAILABLE',
      'TURN_TAKEN',
      'TEMPORAL_UNAVAILABLE',
      'DATABASE_UNAVAILABLE',
      'PLANNING_STOPPED',
    ]);
  });

  it('of research: a submission of which nobody knows is not made again, a task that is paid for is asked for on and on', () => {
    const nonRetryable = (error: MissionError) => toApplicationFailure(error, 1, noDelay).nonRetryable;
    expect(nonRetryable(new ResearchUnavailableError(null, false))).toBe(true);
    expect(nonRetryable(new ResearchDeniedError(401, true))).toBe(false);
  });

  it('a refusal that may have been a hiccup gets one more try', () => {
    const hiccup = new GatewayRejectedError({ kind: null, status: 400, retryAfterMs: null }, true);
    expect(toApplicationFailure(hiccup, 1, noDelay).nonRetryable).toBe(false);
    expect(toApplicationFailure(hiccup, 2, noDelay).nonRetryable).toBe(true);
  });

  it('which refusals are counted for, whatever attempts were lost to other failures', () => {
    const refused = (refusals: number) =>
      new GatewayRejectedError(problem, true, { failures: 4, refusals, unreadable: 0 });
    expect(toApplicationFailure(refused(1), 5, noDelay).nonRetryable).toBe(false);
    expect(toApplicationFailure(refused(2), 5, noDelay).nonRetryable).toBe(true);
  });

  it('a reply in which nothing can be read is asked for again once: each one is paid for', () => {
    const odd = (unreadable: number) =>
      new GatewayUnavailableError(problem, { failures: 7, refusals: 0, unreadable });
    expect(toApplicationFailure(odd(0), 7, noDelay).nonRetryable).toBe(false);
    expect(toApplicationFailure(odd(1), 7, noDelay).nonRetryable).toBe(false);
    expect(toApplicationFailure(odd(2), 2, noDelay).nonRetryable).toBe(true);
  });

  it('the delay that the activity asks for goes with the failure, with the attempt it was asked for', () => {
    const delay = (error: MissionError, attempt: number) =>
      error.code === 'SLOT_BUSY' ? attempt * 10 : undefined;
    expect(toApplicationFailure(EXAMPLES.SLOT_BUSY, 3, delay).nextRetryDelay).toBe(30);
    expect(toApplicationFailure(EXAMPLES.NOT_FOUND, 3, delay).nextRetryDelay).toBeUndefined();
  });

  it('a failure that is one already stays as it is', () => {
    const failure = ApplicationFailure.nonRetryable('x', 'OTHER');
    expect(toApplicationFailure(failure, 1, noDelay)).toBe(failure);
  });

  it.each([
    ['an error of a library', new TypeError('SECRET'), 'unexpected TypeError'],
    [
      'an error of the database',
      Object.assign(new Error('SECRET'), { code: '23505' }),
      'unexpected Error (23505)',
    ],
    ['an error whose code is no text', Object.assign(new Error('SECRET'), { code: 7 }), 'unexpected Error'],
    ['a text', 'SECRET', 'unexpected string'],
    ['nothing', undefined, 'unexpected undefined'],
  ])('%s passes on its kind, never its text, and is retried', (_, thrown, message) => {
    const failure = toApplicationFailure(thrown, 1, noDelay);
    expect(failure).toMatchObject({ type: 'UNEXPECTED', message, nonRetryable: false });
    expect(failure.cause).toBeUndefined();
    expect(JSON.stringify([failure.message, failure.details])).not.toContain('SECRET');
  });
});

import { DatabaseError } from 'pg';
import { DatabaseUnavailableError } from '#domain/base/errors.ts';

/**
 * SQLSTATE by which the server says that it cannot serve: connection exceptions, too many connections, a statement that our
 * limit or an operator cancelled, being shut down.
 */
const UNAVAILABLE_STATE = /^(?:08...|53300|57014|57P0[1-5])$/;
/** What the driver says itself, by its texts: it gives these errors no code. */
const DRIVER_TEXTS: ReadonlySet<string> = new Set([
  'timeout exceeded when trying to connect',
  'timeout expired',
  'Connection terminated',
  'Connection terminated unexpectedly',
  'Connection terminated due to connection timeout',
  'Query read timeout',
  'Client has encountered a connection error and is not queryable',
  'Client was closed and is not queryable',
  'Cannot use a pool after calling end on the pool',
]);

/** @returns a `DatabaseUnavailableError` for an error of the way to the server, and any other as it is */
export function nameConnectionFailure(error: unknown): unknown {
  return isConnectionFailure(error) ? new DatabaseUnavailableError({ cause: error }) : error;
}

function isConnectionFailure(error: unknown): boolean {
  if (error instanceof DatabaseError) return UNAVAILABLE_STATE.test(error.code ?? '');
  if (!(error instanceof Error)) return false;
  // Of a socket or of name resolution: they name the call that failed.
  return DRIVER_TEXTS.has(error.message) || ('syscall' in error && 'code' in error) || isAllOf(error);
}

/** No address of several could be reached. */
const isAllOf = (error: Error): boolean =>
  error instanceof AggregateError && error.errors.length > 0 && error.errors.every(isConnectionFailure);

import { DatabaseError } from 'pg';
import { DatabaseUnavailableError } from '#domain/base/errors.ts';

/**
 * SQLSTATE by which the server says that it cannot serve: connection exceptions, that it only reads (a standby, or what was the
 * primary), a transaction that a limit ended, no room on its disk or no connection left, a statement that our limit or an
 * operator cancelled, being shut down.
 */
const UNAVAILABLE_STATE = /^(?:08...|25006|25P0[34]|53...|57014|57P0[1-5])$/;
/**
 * What this connection says again and again while another one may not: that its server only reads, that the result of a prepared
 * statement has another type since a migration, that a statement is not prepared of which the driver knows better.
 */
const WORN_OUT_STATE = /^(?:25006|0A000|26000)$/;
/** What the driver says itself, by its texts: it gives these errors no code. */
const DRIVER_TEXTS: ReadonlySet<string> = new Set([
  'timeout exceeded when trying to connect',
  'timeout expired',
  'Connection terminated',
  'Connection terminated unexpectedly',
  'Connection terminated due to connection timeout',
  'Query read timeout',
  // Refused with one byte: the server could not even begin to serve.
  'There was an error establishing an SSL connection',
  'Client has encountered a connection error and is not queryable',
  'Client was closed and is not queryable',
  'Cannot use a pool after calling end on the pool',
]);

/** @returns a `DatabaseUnavailableError` for an error of the way to the server, and any other as it is */
export function nameConnectionFailure(error: unknown): unknown {
  return isConnectionFailure(error) ? new DatabaseUnavailableError({ cause: error }) : error;
}

/** Whether the connection that brought this error is to be thrown away. */
export const wearsOut = (error: unknown): boolean =>
  error instanceof DatabaseError && WORN_OUT_STATE.test(error.code ?? '');

function isConnectionFailure(error: unknown): boolean {
  if (error instanceof DatabaseError) return UNAVAILABLE_STATE.test(error.code ?? '');
  if (!(error instanceof Error)) return false;
  return DRIVER_TEXTS.has(error.message) || isOfSocket(error) || isAllOf(error);
}

/** Of a socket or of name resolution: they name the call that failed, but for a connection that was closed during TLS's handshake. */
const isOfSocket = (error: Error): boolean =>
  'code' in error && ('syscall' in error || error.code === 'ECONNRESET');

/** No address of several could be reached. */
const isAllOf = (error: Error): boolean =>
  error instanceof AggregateError && error.errors.length > 0 && error.errors.every(isConnectionFailure);

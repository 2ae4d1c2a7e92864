import { isGrpcServiceError } from '@temporalio/client';
import { getGrpcStatusDetails, trimGrpcTypeUrl } from '@temporalio/client/lib/helpers.js';

/**
 * The gRPC status codes that we tell apart. The SDK hands them on as numbers; `@grpc/grpc-js` is no dependency of ours.
 *
 * @see https://grpc.io/docs/guides/status-codes/
 */
export const GRPC_STATUS = {
  CANCELLED: 1,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  UNAVAILABLE: 14,
} as const;

export function hasGrpcStatus(error: unknown, status: number): boolean {
  if (!isGrpcServiceError(error)) return false;
  const code: number = error.code;
  return code === status;
}

/** What the server says of a workflow or a schedule that it does not have. */
const NOT_FOUND_FAILURE = 'temporal.api.errordetails.v1.NotFoundFailure';

/**
 * Whether the server says that it does not have the very thing it was asked for. NOT_FOUND alone may also be its namespace,
 * or come from something in front of the server.
 */
export function isNotFoundFailure(error: unknown): boolean {
  if (!isGrpcServiceError(error) || !hasGrpcStatus(error, GRPC_STATUS.NOT_FOUND)) return false;
  return (getGrpcStatusDetails(error) ?? []).some(
    ({ type_url: url }) => trimGrpcTypeUrl(url) === NOT_FOUND_FAILURE,
  );
}

const UNAVAILABLE = [
  GRPC_STATUS.CANCELLED,
  GRPC_STATUS.DEADLINE_EXCEEDED,
  GRPC_STATUS.RESOURCE_EXHAUSTED,
  GRPC_STATUS.UNAVAILABLE,
];

/**
 * Whether a call failed because the server is down, too slow or has too much to do, so that the next call would most
 * likely fail as well. The SDK wraps some of its errors.
 */
export const isTemporalUnavailable = (error: unknown): boolean =>
  UNAVAILABLE.some((status) => hasGrpcStatus(error, status)) ||
  (error instanceof Error && error.cause !== undefined && isTemporalUnavailable(error.cause));

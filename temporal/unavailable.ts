import { GRPC_STATUS, hasGrpcStatus } from './grpc-status.ts';

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

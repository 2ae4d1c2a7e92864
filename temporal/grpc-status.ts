import { isGrpcServiceError } from '@temporalio/client';

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

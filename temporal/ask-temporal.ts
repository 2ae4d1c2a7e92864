import { isGrpcServiceError, NamespaceNotFoundError, ServiceError, type Client } from '@temporalio/client';
import { TemporalUnavailableError } from '#domain/base/errors.ts';
import { withCallDeadline } from './connection.ts';

/** Somebody waits for the answer. */
const ANSWER_WITHIN_MS = 5_000;

/**
 * Runs calls of a client for somebody who waits: with one short deadline for all of them, and with every gRPC error
 * that `call` did not expect as "no answer".
 *
 * @throws TemporalUnavailableError
 */
export async function askTemporal<Result>(
  client: Client,
  call: () => Promise<Result>,
  deadlineMs = ANSWER_WITHIN_MS,
): Promise<Result> {
  try {
    return await withCallDeadline(client.connection, call, deadlineMs);
  } catch (error) {
    throw isNoAnswer(error) ? new TemporalUnavailableError({ cause: error }) : error;
  }
}

/** Whether a call failed because of Temporal or the way to it, and not because of what it was asked. */
export const isNoAnswer = (error: unknown): boolean =>
  isGrpcServiceError(error) || error instanceof ServiceError || error instanceof NamespaceNotFoundError;

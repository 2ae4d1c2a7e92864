import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyBaseLogger } from 'fastify';
import { HTTP_ERRORS } from '../errors.ts';

interface ClientError extends Error {
  readonly code?: string;
}

const ANSWERS: Readonly<Record<string, { readonly status: number; readonly error: string }>> = {
  ERR_HTTP_REQUEST_TIMEOUT: { status: 408, error: 'the request did not arrive in time' },
  HPE_HEADER_OVERFLOW: { status: 431, error: 'the header of the request is too large' },
};
const UNREADABLE = { status: 400, error: 'this is no HTTP/1.1 request' };

/**
 * Answers what never becomes a request: bytes that are no HTTP, headers without end, requests that trickle in. Same
 * shape as every other error, and the connection ends, since nobody knows where the next request would begin.
 */
export const answerClientErrors =
  (log: FastifyBaseLogger) =>
  (error: ClientError, socket: Socket): void => {
    if (error.code === 'ECONNRESET' || socket.destroyed) return;
    const { status, error: text } = ANSWERS[error.code ?? ''] ?? UNREADABLE;
    // The error holds the bytes that were found.
    log.debug({ status, reason: error.code ?? null }, 'request refused before it had a route');
    if (socket.writable) socket.write(rawAnswer(status, text));
    socket.destroy();
  };

function rawAnswer(status: number, error: string): string {
  const body = JSON.stringify({ error, code: HTTP_ERRORS.BAD_REQUEST.code });
  return [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    'content-type: application/json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    'x-content-type-options: nosniff',
    'connection: close',
    '',
    body,
  ].join('\r\n');
}

import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyBaseLogger } from 'fastify';
import { HTTP_ERRORS } from '#api/errors.ts';

interface ClientError extends Error {
  readonly code?: string;
}

const ANSWERS: Readonly<Record<string, { readonly status: number; readonly error: string }>> = {
  ERR_HTTP_REQUEST_TIMEOUT: { status: 408, error: 'the request did not arrive in time' },
  HPE_HEADER_OVERFLOW: { status: 431, error: 'the header of the request is too large' },
};
const UNREADABLE = { status: 400, error: 'this is no HTTP/1.1 request' };

const LINGER_MS = 500;

/**
 * Answers what never becomes a request: bytes that are no HTTP, headers without end, requests that trickle in. Same
 * shape as every other error, and the connection ends, since nobody knows where the next request would begin.
 */
export const answerClientErrors =
  (log: FastifyBaseLogger) =>
  (error: ClientError, socket: Socket): void => {
    // What follows the answer is not read; it may cause more errors.
    if (error.code === 'ECONNRESET' || !socket.writable || socket.writableEnded) return;
    const { status, error: text } = ANSWERS[error.code ?? ''] ?? UNREADABLE;
    // The error holds the bytes that were found.
    log.debug({ status, reason: error.code ?? null }, 'request refused before it had a route');
    // The answer to the request whose body is late may be out already (a refused token); a second one answers nothing.
    const isAnswered = status === 408 && socket.bytesWritten > 0;
    socket.end(isAnswered ? '' : rawAnswer(status, text));
    // Closed at once, a connection with unread bytes is reset, and the answer may be lost with it.
    setTimeout(() => socket.destroy(), LINGER_MS).unref();
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

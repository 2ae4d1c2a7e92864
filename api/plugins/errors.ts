import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod';
import { BadRequestError, MissionError, NotFoundError } from '#domain/base/errors.ts';
import {
  HTTP_ERRORS,
  INTERNAL_ERROR,
  INTERNAL_MESSAGE,
  TIMEOUT_ERROR,
  TIMEOUT_MESSAGE,
} from '#api/errors.ts';
import { describeProblems } from '#api/schemas/problems.ts';

interface Answer {
  readonly status: number;
  readonly body: { readonly error: string; readonly code: string };
}

/** Every answer but a success is `{error, code}` (docs/platform.md section 7), whoever refuses: we, a schema or Fastify. */
export function answerErrors(app: FastifyInstance): void {
  app.setErrorHandler(answerError);
  app.setNotFoundHandler((request, reply) => answerError(new NotFoundError('no such route'), request, reply));
}

/** Also for requests that are refused before they have a route. */
export function answerError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { status, body } = answerOf(error);
  if (status >= 500) request.log.error({ err: error, status }, 'request failed');
  if (status === 401) reply.header('www-authenticate', 'Bearer');
  return reply.code(status).send(body);
}

function answerOf(error: unknown): Answer {
  if (error instanceof MissionError) return answerOfMissionError(error);
  if (hasZodFastifySchemaValidationErrors(error)) {
    return answerOfMissionError(
      new BadRequestError(describeProblems(error.validationContext, error.validation)),
    );
  }
  if (error instanceof Error && (error as FastifyError).code === 'FST_ERR_HANDLER_TIMEOUT') return timedOut;
  const status = error instanceof Error ? ((error as FastifyError).statusCode ?? 500) : 500;
  if (status < 400 || status >= 500) return internalError;
  // Fastify's own text may quote the body.
  const answer = answerOfMissionError(new BadRequestError(REFUSED_BY_FASTIFY[status] ?? UNREADABLE));
  return status === 413 ? { ...answer, status } : answer;
}

function answerOfMissionError(error: MissionError): Answer {
  const { status, code, messageIsPublic } = HTTP_ERRORS[error.code];
  return { status, body: { error: messageIsPublic ? error.message : INTERNAL_MESSAGE, code } };
}

const internalError: Answer = {
  status: INTERNAL_ERROR.status,
  body: { error: INTERNAL_MESSAGE, code: INTERNAL_ERROR.code },
};

const timedOut: Answer = {
  status: TIMEOUT_ERROR.status,
  body: { error: TIMEOUT_MESSAGE, code: TIMEOUT_ERROR.code },
};

const UNREADABLE = 'the request cannot be read; a JSON body with content type application/json is expected';
const REFUSED_BY_FASTIFY: Readonly<Record<number, string>> = {
  413: 'body: found more bytes than are allowed',
  415: 'content type: found another one than application/json, which is the one allowed',
};

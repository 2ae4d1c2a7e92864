import type { FastifyCorsOptions } from '@fastify/cors';
import type { PayloadCodec } from '@temporalio/common';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { BadRequestError, UnauthorizedError } from '#domain/base/errors.ts';
import { PayloadUnreadableError, UnknownCodecKeyError } from '#temporal/payload-codec.ts';
import type { OperatorSessions } from '#api/plugins/operator-session.ts';
import { errorSchema } from '#api/schemas/error.ts';
import type { OperatorTokens } from './operator-token.ts';
import { payloadsSchema, toPayload, toPayloadJson, type PayloadJson } from './payload-json.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who decodes; null on every other route. */
    operator: Operator | null;
  }
  interface FastifyContextConfig {
    /** What @fastify/cors takes for this route in place of the options of the whole API. */
    cors?: FastifyCorsOptions;
  }
}

interface Operator {
  readonly tokenId: string;
  /** Null: the token itself came with the request. */
  readonly sessionId: string | null;
}

export interface DecodeDependencies {
  readonly codec: PayloadCodec;
  readonly tokens: OperatorTokens;
  readonly sessions: OperatorSessions;
  /** The Temporal UI's; null: only the CLI may decode. */
  readonly corsOrigin: string | null;
}

/** Temporal allows payloads of 2 MB each, and base64 adds a third. */
const BODY_LIMIT_BYTES = 16 * 1024 * 1024;

/**
 * `POST /codec/decode`: Temporal's remote codec protocol, one way only. The CLI sends the operator token, the UI the
 * cookie of a login; both are checked before the body is read.
 *
 * @see https://docs.temporal.io/codec-server
 */
export function decodeRoute(app: FastifyInstance, dependencies: DecodeDependencies): void {
  const { codec, corsOrigin } = dependencies;
  const config = { cors: corsOf(corsOrigin) };
  app.decorateRequest('operator', null);
  app.withTypeProvider<ZodTypeProvider>().route({
    method: 'POST',
    url: '/decode',
    config,
    bodyLimit: BODY_LIMIT_BYTES,
    schema: {
      body: payloadsSchema,
      response: { 200: payloadsSchema, '4xx': errorSchema, '5xx': errorSchema },
    },
    onRequest: async (request, reply) => {
      reply.header('cache-control', 'no-store');
      request.operator = operatorOf(request, dependencies);
    },
    handler: async (request) => {
      const { payloads } = request.body;
      const about = { ...request.operator, namespace: namespaceOf(request), payloads: payloads.length };
      const decoded = await decodeAll(codec, payloads).catch((error: unknown) => {
        request.log.warn({ ...about, err: error }, 'payloads not decoded');
        throw error;
      });
      request.log.info(about, 'payloads decoded');
      return { payloads: decoded };
    },
  });
  // The hook of the CORS plugin answers preflights of the one origin; all others find no such route.
  app.options('/decode', { config }, (_request: FastifyRequest, reply: FastifyReply) => reply.callNotFound());
}

/** In place of the allow-list of the web app, which has no business here. */
const corsOf = (corsOrigin: string | null) => ({
  origin: (origin: string | undefined) =>
    Promise.resolve(corsOrigin !== null && origin === corsOrigin ? corsOrigin : false),
  credentials: true,
  methods: ['POST'],
  allowedHeaders: ['authorization', 'content-type', 'x-namespace'],
  exposedHeaders: [],
});

/** @throws UnauthorizedError */
function operatorOf(request: FastifyRequest, { tokens, sessions, corsOrigin }: DecodeDependencies): Operator {
  const { authorization, origin } = request.headers;
  if (authorization !== undefined) {
    const token = /^Bearer +(\S+)$/i.exec(authorization)?.[1];
    const tokenId = token === undefined ? null : tokens.identify(token);
    if (tokenId !== null) return { tokenId, sessionId: null };
  } else if (corsOrigin !== null && origin === corsOrigin) {
    // Another port of the UI's host counts as the same site and would send the cookie as well.
    const session = sessions.of(request);
    if (session !== null) return { tokenId: session.tokenId, sessionId: session.sessionId };
  }
  request.log.warn({ namespace: namespaceOf(request), address: request.ip }, 'decoding refused');
  throw new UnauthorizedError(
    'an operator is required: Authorization: Bearer <operator token>, or a login at /codec/login',
  );
}

/** As the client names it; what is no namespace is not written into the log. */
function namespaceOf(request: FastifyRequest): string | null {
  const namespace = request.headers['x-namespace'];
  return typeof namespace === 'string' && /^[\w.-]{1,255}$/.test(namespace) ? namespace : null;
}

/** @throws BadRequestError that says which payload does not open, and nothing of its content */
async function decodeAll(codec: PayloadCodec, payloads: readonly PayloadJson[]): Promise<PayloadJson[]> {
  const decoded: PayloadJson[] = [];
  for (const [index, json] of payloads.entries()) {
    const payload = toPayload(json);
    const [opened = payload] = await codec.decode([payload]).catch((error: unknown) => {
      throw describe(error, index);
    });
    // What was not encrypted goes back as it came, with fields that we do not know.
    decoded.push(opened === payload ? json : toPayloadJson(opened));
  }
  return decoded;
}

function describe(error: unknown, index: number): unknown {
  if (error instanceof UnknownCodecKeyError) {
    const keyId = /^[\w.-]{1,64}$/.test(error.keyId) ? `"${error.keyId}"` : 'of another form';
    return new BadRequestError(
      `payloads.${index}: its key id is ${keyId}, which TEMPORAL_CODEC_KEYS of this process does not hold`,
      { cause: error },
    );
  }
  if (error instanceof PayloadUnreadableError) {
    return new BadRequestError(
      `payloads.${index}: does not open: altered, or its key id means another key now`,
      {
        cause: error,
      },
    );
  }
  return error;
}

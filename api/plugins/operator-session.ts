import cookie from '@fastify/cookie';
import { randomBytes } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type CodecKeys, derivedKeys } from '#temporal/payload-codec.ts';

/** Who has logged in, and until when. */
export interface OperatorSession {
  /** Random; also stands in the log, where it opens nothing without its signature. */
  readonly sessionId: string;
  /** The token that the operator logged in with. */
  readonly tokenId: string;
  readonly expiresAtMs: number;
}

export interface OperatorSessions {
  start(request: FastifyRequest, reply: FastifyReply, tokenId: string): OperatorSession;
  /** Null without a cookie, and for one that is altered, expired, ended or of a token that is no longer configured. */
  of(request: FastifyRequest): OperatorSession | null;
  /** @returns the session that was ended, if there was one */
  end(request: FastifyRequest, reply: FastifyReply): OperatorSession | null;
}

export interface OperatorSessionOptions {
  readonly codecKeys: CodecKeys;
  readonly isCurrentToken: (tokenId: string) => boolean;
  /** The path under which the cookie is sent. */
  readonly path: string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

export const SESSION_COOKIE = 'mana_codec_session';
/**
 * Half an hour, and nothing renews it: a logout ends the session in the process that takes it, and a copy of the cookie opens
 * the others until then. To share what was ended would make decoding depend on a database.
 */
export const SESSION_TTL_MS = 30 * 60_000;
const SIGNING_KEY_PURPOSE = 'mana-missions/operator-session/v1';
const SESSION_ID_BYTES = 16;

/**
 * Sessions of operators: a signed cookie that no script can read and that no other site's page sends.
 *
 * The signing key is derived from the codec keys. Who has those can decrypt without any session, the same ones are known
 * to every API process, and the first one signs while all are accepted, as with payloads.
 */
export async function createOperatorSessions(
  app: FastifyInstance,
  options: OperatorSessionOptions,
): Promise<OperatorSessions> {
  const { path, now, isCurrentToken } = options;
  await app.register(cookie, { secret: derivedKeys(options.codecKeys, SIGNING_KEY_PURPOSE) });
  const ended = createEndedSessions(now);
  // `SameSite` knows no ports: the UI may be on another port of this host, but not on another host.
  const attributes = (request: FastifyRequest) => ({
    path,
    httpOnly: true,
    sameSite: 'strict' as const,
    secure: request.protocol === 'https',
  });
  const of = (request: FastifyRequest): OperatorSession | null => {
    const { valid, value } = request.unsignCookie(request.cookies[SESSION_COOKIE] ?? '');
    const session = valid ? parseSession(value) : null;
    if (session === null || session.expiresAtMs <= now() || ended.has(session.sessionId)) return null;
    return isCurrentToken(session.tokenId) ? session : null;
  };
  return {
    of,
    start: (request, reply, tokenId) => {
      const session = {
        sessionId: randomBytes(SESSION_ID_BYTES).toString('base64url'),
        tokenId,
        expiresAtMs: now() + SESSION_TTL_MS,
      };
      reply.setCookie(SESSION_COOKIE, formatSession(session), {
        ...attributes(request),
        signed: true,
        maxAge: SESSION_TTL_MS / 1000,
      });
      return session;
    },
    end: (request, reply) => {
      const session = of(request);
      if (session !== null) ended.add(session);
      reply.clearCookie(SESSION_COOKIE, attributes(request));
      return session;
    },
  };
}

const formatSession = ({ sessionId, tokenId, expiresAtMs }: OperatorSession): string =>
  [sessionId, tokenId, expiresAtMs].join('.');

function parseSession(text: string | null): OperatorSession | null {
  const match = /^([\w-]{22})\.([\da-f]{8})\.(\d{1,15})$/.exec(text ?? '');
  const [, sessionId, tokenId, expiresAtMs] = match ?? [];
  if (sessionId === undefined || tokenId === undefined) return null;
  return { sessionId, tokenId, expiresAtMs: Number(expiresAtMs) };
}

/** Sessions that were logged out of before they expired: a copied cookie ends with them, in this process. */
function createEndedSessions(now: () => number) {
  const endedUntil = new Map<string, number>();
  return {
    has: (sessionId: string): boolean => endedUntil.has(sessionId),
    add: ({ sessionId, expiresAtMs }: OperatorSession): void => {
      for (const [id, untilMs] of endedUntil) if (untilMs <= now()) endedUntil.delete(id);
      endedUntil.set(sessionId, expiresAtMs);
    },
  };
}

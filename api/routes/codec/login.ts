import type { FastifyInstance, FastifyReply } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { OperatorSessions } from '#api/plugins/operator-session.ts';
import { limitAddress } from '#api/plugins/rate-limits.ts';
import { LOGIN_PAGE_HEADERS, loginPage } from './login-page.ts';
import type { OperatorTokens } from './operator-token.ts';
import { requireSameOrigin } from './same-origin.ts';

const LOGINS_PER_MINUTE = 10;
const FORM_LIMIT_BYTES = 4096;

const loginSchema = z.object(
  { token: z.string({ error: 'found no text, expected the operator token' }) },
  { error: 'found no form, expected one with the field token' },
);

/**
 * `GET` and `POST /codec/login`, `POST /codec/logout`: how an operator's browser gets the session that the Temporal UI
 * sends to the codec endpoint.
 */
export function loginRoutes(app: FastifyInstance, tokens: OperatorTokens, sessions: OperatorSessions): void {
  app.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string', bodyLimit: FORM_LIMIT_BYTES },
    (_request, body, done) => done(null, Object.fromEntries(new URLSearchParams(body.toString()))),
  );
  app.get('/login', (request, reply) => sendPage(reply, loginPage(sessions.of(request))));

  app.withTypeProvider<ZodTypeProvider>().route({
    method: 'POST',
    url: '/login',
    schema: { body: loginSchema },
    onRequest: [requireSameOrigin, limitAddress(app, LOGINS_PER_MINUTE)],
    handler: async (request, reply) => {
      const tokenId = tokens.identify(request.body.token.trim());
      if (tokenId === null) {
        request.log.warn({ address: request.ip }, 'operator login refused');
        return sendPage(reply.code(401), loginPage(null, 'This is not an operator token.'));
      }
      const { sessionId } = sessions.start(request, reply, tokenId);
      request.log.info({ tokenId, sessionId, address: request.ip }, 'operator logged in');
      return reply.redirect('login', 303);
    },
  });

  app.post('/logout', { onRequest: requireSameOrigin }, async (request, reply) => {
    const session = sessions.end(request, reply);
    if (session !== null) request.log.info({ sessionId: session.sessionId }, 'operator logged out');
    return reply.redirect('login', 303);
  });
}

const sendPage = (reply: FastifyReply, html: string): FastifyReply =>
  reply.headers(LOGIN_PAGE_HEADERS).send(html);

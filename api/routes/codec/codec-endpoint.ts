import type { FastifyInstance } from 'fastify';
import { createPayloadCodec, type CodecKeys } from '#temporal/payload-codec.ts';
import { createOperatorSessions } from '#api/plugins/operator-session.ts';
import { decodeRoute } from './decode.ts';
import { loginRoutes } from './login.ts';
import { createOperatorTokens } from './operator-token.ts';

export interface CodecEndpointSettings {
  /** SHA-256 of the operators' tokens, one or two. */
  readonly operatorTokenSha256: readonly Buffer[];
  /** The one exact origin of the Temporal UI; null: no browser, only the CLI. */
  readonly corsOrigin: string | null;
  readonly codecKeys: CodecKeys;
}

export const CODEC_URL = '/codec';

/**
 * The decode-only codec endpoint of the Temporal UI and CLI (docs/architecture.md section 3). There is no route that encodes: who
 * could encode could write histories. Without these routes nothing under `/codec` exists.
 */
export async function codecEndpoint(
  app: FastifyInstance,
  { operatorTokenSha256, corsOrigin, codecKeys }: CodecEndpointSettings,
  now: () => number,
): Promise<void> {
  const tokens = createOperatorTokens(operatorTokenSha256);
  const sessions = await createOperatorSessions(app, {
    codecKeys,
    isCurrentToken: tokens.isCurrent,
    path: CODEC_URL,
    now,
  });
  decodeRoute(app, { codec: createPayloadCodec(codecKeys), tokens, sessions, corsOrigin });
  if (corsOrigin !== null) loginRoutes(app, tokens, sessions);
}

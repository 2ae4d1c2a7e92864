import { createHash, timingSafeEqual } from 'node:crypto';

/** Says which of the configured tokens a text is. */
export interface OperatorTokens {
  /** The id of the token, or null for any other text. Takes as long for each. */
  readonly identify: (token: string) => string | null;
  /** False once a token has been taken out of the configuration. */
  readonly isCurrent: (tokenId: string) => boolean;
}

const TOKEN_ID_LENGTH = 8;

/**
 * The operators' tokens, of which only the SHA-256 is known here (`OPERATOR_TOKEN_SHA256`).
 *
 * The id of a token is the beginning of its hash in hex: an operator finds it in the configuration, and it says nothing
 * about a token that was made at random.
 *
 * @param sha256Hashes one or two, 32 bytes each
 */
export function createOperatorTokens(sha256Hashes: readonly Buffer[]): OperatorTokens {
  const known = sha256Hashes.map((hash) => ({ hash, id: hash.toString('hex').slice(0, TOKEN_ID_LENGTH) }));
  return {
    identify: (token) => {
      const presented = createHash('sha256').update(token, 'utf8').digest();
      // Every hash is compared, so that the time does not tell which one was near.
      const [match] = known.filter(({ hash }) => timingSafeEqual(hash, presented));
      return match?.id ?? null;
    },
    isCurrent: (tokenId) => known.some(({ id }) => id === tokenId),
  };
}

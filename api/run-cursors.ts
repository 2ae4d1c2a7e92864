import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { type CodecKeys, derivedKeys } from '#temporal/payload-codec.ts';

/** Cursors of lists of runs; opaque to the client. */
export interface RunCursors {
  /**
   * Names the next page of a list.
   *
   * @param listOf what the list is of: user and mission
   * @param token the Temporal server's
   * @returns null if there is no next page
   */
  encode(listOf: readonly string[], token: Uint8Array): string | null;
  /** The reverse; null for any text that was not made for this list with one of our keys. */
  decode(listOf: readonly string[], cursor: string): Uint8Array | null;
}

const PURPOSE = 'mana-missions/run-cursor/v1';
const TAG_BYTES = 16;

/**
 * A page token is the server's own: what it makes of one that it never gave out is not ours to find out, so none gets there
 * that we did not sign.
 *
 * @param codecKeys null: cursors are of this process alone
 */
export function createRunCursors(codecKeys: CodecKeys | null): RunCursors {
  const keys = codecKeys === null ? [randomBytes(32)] : derivedKeys(codecKeys, PURPOSE);
  const [signingKey = randomBytes(32)] = keys;
  return {
    encode: (listOf, token) =>
      token.length === 0
        ? null
        : Buffer.concat([tagOf(signingKey, listOf, token), token]).toString('base64url'),
    decode: (listOf, cursor) => {
      const bytes = Buffer.from(cursor, 'base64url');
      // Many texts decode to the same bytes; only one is ours.
      if (bytes.length <= TAG_BYTES || bytes.toString('base64url') !== cursor) return null;
      const [tag, token] = [bytes.subarray(0, TAG_BYTES), bytes.subarray(TAG_BYTES)];
      return keys.some((key) => timingSafeEqual(tagOf(key, listOf, token), tag)) ? token : null;
    },
  };
}

const tagOf = (key: Buffer, listOf: readonly string[], token: Uint8Array): Buffer =>
  createHmac('sha256', key).update(JSON.stringify(listOf)).update(token).digest().subarray(0, TAG_BYTES);

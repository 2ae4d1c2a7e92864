import { randomBytes } from 'node:crypto';
import type { UserId, IterationId } from '#domain/base/ids.ts';
import { canonicalContext, decryptBytes, encryptBytes } from './authenticated-encryption.ts';
import { deriveSubkey } from './hkdf.ts';
import { assertKeyLength, KEY_BYTES, withSecret } from './key-bytes.ts';

const PURPOSE = 'mana-missions/run-key/v1';

/** Whose run key it is; wrapped, it opens nowhere else. */
export interface RunKeyContext {
  readonly userId: UserId;
  readonly iterationId: IterationId;
}

/** A key of the payload codec (`TEMPORAL_CODEC_KEYS`). */
export interface CodecKey {
  /** 1 to 255 bytes of UTF-8. */
  readonly id: string;
  /** 32 bytes. */
  readonly key: Uint8Array;
}

/** A random 32-byte key for the transcript of one run without a grant (docs/architecture.md section 3). */
export const createRunKey = (): Buffer => randomBytes(KEY_BYTES);

/**
 * Wraps a run key under a codec key. Layout: 1 byte length of the codec key's id, the id in UTF-8, then the layout of
 * `encryptBytes`. The wrapping key is derived, so that payloads and run keys are never under the same one.
 */
export function wrapRunKey(codecKey: CodecKey, context: RunKeyContext, runKey: Uint8Array): Buffer {
  assertKeyLength(runKey, 'run key');
  const id = Buffer.from(codecKey.id, 'utf8');
  if (id.length < 1 || id.length > 255) {
    throw new RangeError(`codec key id: found ${id.length} bytes, expected 1 to 255`);
  }
  const sealed = withSecret(deriveSubkey(codecKey.key, PURPOSE), (key) =>
    encryptBytes(key, aadOf(codecKey.id, context), runKey),
  );
  return Buffer.concat([Buffer.of(id.length), id, sealed]);
}

/**
 * Unwraps a run key with the codec key that it names.
 *
 * @returns 32 bytes, to be overwritten by the caller; null if that codec key is gone or anything does not belong
 *   together
 */
export function unwrapRunKey(
  codecKeys: ReadonlyMap<string, Uint8Array>,
  context: RunKeyContext,
  wrapped: Uint8Array,
): Buffer | null {
  const idEnd = 1 + (wrapped[0] ?? 0);
  const id = Buffer.from(wrapped.subarray(1, idEnd)).toString('utf8');
  const codecKey = codecKeys.get(id);
  if (codecKey === undefined) return null;
  const runKey = withSecret(deriveSubkey(codecKey, PURPOSE), (key) =>
    decryptBytes(key, aadOf(id, context), wrapped.subarray(idEnd)),
  );
  if (runKey === null || runKey.length === KEY_BYTES) return runKey;
  runKey.fill(0);
  return null;
}

const aadOf = (codecKeyId: string, { userId, iterationId }: RunKeyContext): string =>
  canonicalContext(PURPOSE, codecKeyId, userId, iterationId);

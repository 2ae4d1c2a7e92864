import type { IterationId, MissionId, UserId } from '../domain/ids.ts';
import { canonicalContext, decryptBytes, encryptBytes } from './authenticated-encryption.ts';
import { deriveSubkey } from './hkdf.ts';
import { decodeJson, encodeJson } from './json-bytes.ts';
import { withSecret } from './key-bytes.ts';

const PURPOSE = 'mana-missions/transcript/v1';

/** Where a transcript entry belongs; it opens nowhere else. */
export interface TranscriptContext {
  readonly userId: UserId;
  readonly missionId: MissionId;
  readonly iterationId: IterationId;
  readonly round: number;
}

/**
 * Encrypts what one planner round keeps: the request, the reply.
 *
 * @param key 32 bytes: the mission data key, or the run key where the mission has no grant. The key in use is derived
 *   from it, so that sealed records under the same MDK have another.
 * @param entry any JSON value
 * @returns the layout of `encryptBytes`
 */
export function encryptTranscriptEntry(key: Uint8Array, context: TranscriptContext, entry: unknown): Buffer {
  return withSecret(encodeJson(entry), (plaintext) =>
    withSecret(deriveSubkey(key, PURPOSE), (subkey) => encryptBytes(subkey, aadOf(context), plaintext)),
  );
}

/** The reverse of `encryptTranscriptEntry`; null if anything does not belong together (or the entry was null). */
export function decryptTranscriptEntry(
  key: Uint8Array,
  context: TranscriptContext,
  encrypted: Uint8Array,
): unknown {
  const plaintext = withSecret(deriveSubkey(key, PURPOSE), (subkey) =>
    decryptBytes(subkey, aadOf(context), encrypted),
  );
  return plaintext === null ? null : (withSecret(plaintext, decodeJson)?.value ?? null);
}

const aadOf = ({ userId, missionId, iterationId, round }: TranscriptContext): string =>
  canonicalContext(PURPOSE, userId, missionId, iterationId, round);

import type { IterationId, MissionId, UserId } from '#domain/base/ids.ts';
import { canonicalContext, decryptBytes, encryptBytes } from './authenticated-encryption.ts';
import { deriveSubkey } from './hkdf.ts';
import { decodeJson, encodeJson } from './encodings.ts';
import { withSecret } from './key-bytes.ts';

const ENTRY_PURPOSE = 'mana-missions/transcript/v1';
const CALL_PURPOSE = 'mana-missions/model-call/v1';
const KEY_ID_PURPOSE = 'mana-missions/transcript-key-id/v1';
const KEY_ID_BYTES = 8;
const NOTE_PURPOSE = 'mana-missions/run-note/v1';

interface RunContext {
  readonly userId: UserId;
  readonly missionId: MissionId;
  readonly iterationId: IterationId;
}

/** Where a transcript entry belongs; it opens nowhere else. */
export interface TranscriptContext extends RunContext {
  readonly round: number;
}

/** Where a part of a call of the model belongs. */
export interface CallPartContext extends TranscriptContext {
  /** Of `mana_ai.model_calls`. */
  readonly purpose: string;
  readonly part: 'request' | 'reply';
}

/** Where a note of a run belongs. */
export interface NoteContext extends RunContext {
  /** Of `mana_ai.run_notes`: one note of each kind. */
  readonly kind: string;
}

/**
 * Tells keys of transcripts apart, without a way back to them.
 *
 * @param key 32 bytes
 * @returns 8 bytes
 */
export const transcriptKeyId = (key: Uint8Array): Buffer =>
  withSecret(deriveSubkey(key, KEY_ID_PURPOSE), (subkey) => Buffer.from(subkey.subarray(0, KEY_ID_BYTES)));

/** Encrypts the request or the reply of a call, under the same key as entries, with a derived one of its own. */
export const encryptCallPart = (key: Uint8Array, context: CallPartContext, value: unknown): Buffer =>
  encryptJson(key, CALL_PURPOSE, callAad(context), value);

/** The reverse of `encryptCallPart`; null if anything does not belong together (or the value was null). */
export const decryptCallPart = (key: Uint8Array, context: CallPartContext, encrypted: Uint8Array): unknown =>
  decryptJson(key, CALL_PURPOSE, callAad(context), encrypted);

/**
 * Encrypts what one planner round came to.
 *
 * @param key 32 bytes: the mission data key, or the run key where the mission has no grant. The key in use is derived
 *   from it, so that sealed records under the same MDK have another.
 * @param entry any JSON value
 * @returns the layout of `encryptBytes`
 */
export const encryptTranscriptEntry = (key: Uint8Array, context: TranscriptContext, entry: unknown): Buffer =>
  encryptJson(key, ENTRY_PURPOSE, entryAad(context), entry);

/** The reverse of `encryptTranscriptEntry`; null if anything does not belong together (or the entry was null). */
export const decryptTranscriptEntry = (
  key: Uint8Array,
  context: TranscriptContext,
  encrypted: Uint8Array,
): unknown => decryptJson(key, ENTRY_PURPOSE, entryAad(context), encrypted);

/** Encrypts what a run keeps besides its rounds, under the same key as those, with a derived one of its own. */
export const encryptRunNote = (key: Uint8Array, context: NoteContext, note: unknown): Buffer =>
  encryptJson(key, NOTE_PURPOSE, noteAad(context), note);

/** The reverse of `encryptRunNote`; null if anything does not belong together (or the note was null). */
export const decryptRunNote = (key: Uint8Array, context: NoteContext, encrypted: Uint8Array): unknown =>
  decryptJson(key, NOTE_PURPOSE, noteAad(context), encrypted);

const entryAad = ({ userId, missionId, iterationId, round }: TranscriptContext): string =>
  canonicalContext(ENTRY_PURPOSE, userId, missionId, iterationId, round);
const callAad = ({ userId, missionId, iterationId, round, purpose, part }: CallPartContext): string =>
  canonicalContext(CALL_PURPOSE, userId, missionId, iterationId, round, purpose, part);
const noteAad = ({ userId, missionId, iterationId, kind }: NoteContext): string =>
  canonicalContext(NOTE_PURPOSE, userId, missionId, iterationId, kind);

const encryptJson = (key: Uint8Array, purpose: string, aad: string, value: unknown): Buffer =>
  withSecret(encodeJson(value), (plaintext) =>
    withSecret(deriveSubkey(key, purpose), (subkey) => encryptBytes(subkey, aad, plaintext)),
  );

function decryptJson(key: Uint8Array, purpose: string, aad: string, encrypted: Uint8Array): unknown {
  const plaintext = withSecret(deriveSubkey(key, purpose), (subkey) => decryptBytes(subkey, aad, encrypted));
  return plaintext === null ? null : (withSecret(plaintext, decodeJson)?.value ?? null);
}

import type { IterationId, MissionId, UserId } from '../domain/ids.ts';
import { canonicalContext, decryptBytes, encryptBytes } from './authenticated-encryption.ts';
import { deriveSubkey } from './hkdf.ts';
import { decodeJson, encodeJson } from './json-bytes.ts';
import { withSecret } from './key-bytes.ts';

const ENTRY_PURPOSE = 'mana-missions/transcript/v1';
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

/** Where a note of a run belongs. */
export interface NoteContext extends RunContext {
  /** Of `mana_ai.run_notes`: one note of each kind. */
  readonly kind: string;
}

/**
 * Encrypts what one planner round keeps: the request, the reply.
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

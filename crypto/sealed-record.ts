import type { MissionId, UserId, WorkflowRunId } from '#domain/base/ids.ts';
import { canonicalContext, decryptBytes, encryptBytes } from './authenticated-encryption.ts';
import { deriveSubkey } from './hkdf.ts';
import { decodeJson, encodeJson } from './encodings.ts';
import { withSecret } from './key-bytes.ts';

const PURPOSE = 'mana-missions/sealed-record/v1';

/** Where a sealed record belongs; it opens nowhere else. */
export interface SealContext {
  readonly userId: UserId;
  readonly missionId: MissionId;
  readonly runId: WorkflowRunId;
  readonly table: string;
  readonly recordId: string;
}

/**
 * Seals the decrypted fields of one record to a mission data key, for `mana_ai.sealed_inputs`.
 *
 * @param mdk 32 bytes; the key in use is derived from it, so that transcripts under the same MDK have another
 * @param fields a JSON object
 * @returns the layout of `encryptBytes`
 */
export function sealRecord(
  mdk: Uint8Array,
  context: SealContext,
  fields: Readonly<Record<string, unknown>>,
): Buffer {
  return withSecret(encodeJson(fields), (plaintext) =>
    withSecret(deriveSubkey(mdk, PURPOSE), (key) => encryptBytes(key, aadOf(context), plaintext)),
  );
}

/** The reverse of `sealRecord`; null if anything does not belong together, whatever it is. */
export function unsealRecord(
  mdk: Uint8Array,
  context: SealContext,
  sealed: Uint8Array,
): Record<string, unknown> | null {
  const plaintext = withSecret(deriveSubkey(mdk, PURPOSE), (key) =>
    decryptBytes(key, aadOf(context), sealed),
  );
  const fields = plaintext === null ? null : (withSecret(plaintext, decodeJson)?.value ?? null);
  return isFields(fields) ? fields : null;
}

const aadOf = ({ userId, missionId, runId, table, recordId }: SealContext): string =>
  canonicalContext(PURPOSE, userId, missionId, runId, table, recordId);

const isFields = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

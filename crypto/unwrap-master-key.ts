import { aesGcmDecrypt } from './aes-gcm.ts';
import { decodeBase64 } from './encodings.ts';
import { KEY_BYTES } from './key-bytes.ts';

/** A row of `auth.encryption_vaults` (docs/platform.md section 6). */
export interface VaultRow {
  readonly wrappedMkBase64: string | null;
  readonly wrapIvBase64: string | null;
  readonly kekId: string | null;
  readonly zeroKnowledge: boolean;
}

/** The key encryption keys (KEK) of this process, 32 bytes each. */
export interface KekRing {
  /** `MANA_AUTH_KEK` */
  readonly default: Buffer | null;
  /** `MANA_AUTH_KEKS` */
  readonly byId: ReadonlyMap<string, Buffer>;
}

export type UnwrappedMasterKey =
  | { readonly ok: true; readonly masterKey: Buffer }
  | { readonly ok: false; readonly reason: 'zero-knowledge' | 'unwrap-failed' };

/**
 * Unwraps a user's master key. The KEK that the row names is tried first, then the default one: rows written before
 * KEKs had ids name one that nobody configured. KEKs with other ids are not tried.
 *
 * @returns the 32-byte key, to be overwritten by the caller, or why there is none; a bad row does not throw
 */
export function unwrapMasterKey(keks: KekRing, row: VaultRow): UnwrappedMasterKey {
  if (row.zeroKnowledge) return { ok: false, reason: 'zero-knowledge' };
  const iv = decodeBase64(row.wrapIvBase64 ?? '');
  const wrapped = decodeBase64(row.wrappedMkBase64 ?? '');
  if (iv === null || wrapped === null) return { ok: false, reason: 'unwrap-failed' };
  for (const kek of candidateKeks(keks, row.kekId)) {
    const masterKey = aesGcmDecrypt(kek, iv, wrapped);
    if (masterKey?.length === KEY_BYTES) return { ok: true, masterKey };
    masterKey?.fill(0);
  }
  return { ok: false, reason: 'unwrap-failed' };
}

function candidateKeks(keks: KekRing, kekId: string | null): readonly Buffer[] {
  const named = kekId === null ? undefined : keks.byId.get(kekId);
  return [named, keks.default].filter((kek) => kek !== undefined && kek !== null);
}

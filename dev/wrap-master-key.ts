import { randomBytes } from 'node:crypto';
import { aesGcmEncrypt, IV_BYTES } from '#crypto/aes-gcm.ts';
import { assertKeyLength } from '#crypto/key-bytes.ts';

/**
 * Wraps a master key as mana-auth stores it in `auth.encryption_vaults` (docs/platform.md section 6). mana-auth owns the
 * vault: only the development stack and the tests write one.
 *
 * @param kek 32 bytes
 * @param masterKey 32 bytes
 */
export function wrapMasterKey(
  kek: Uint8Array,
  masterKey: Uint8Array,
): { readonly wrappedMkBase64: string; readonly wrapIvBase64: string } {
  assertKeyLength(masterKey, 'master key');
  const iv = randomBytes(IV_BYTES);
  return {
    wrappedMkBase64: aesGcmEncrypt(kek, iv, masterKey).toString('base64'),
    wrapIvBase64: iv.toString('base64'),
  };
}

import { createCipheriv, createDecipheriv } from 'node:crypto';
import { assertKeyLength, secretKey } from './key-bytes.ts';

/** NIST SP 800-38D section 8.2.1: with 96 bits no further hashing of the iv takes place. */
export const IV_BYTES = 12;
export const TAG_BYTES = 16;

/** AES-256-GCM; the result is ciphertext, then the 16-byte tag (the layout of WebCrypto). */
export function aesGcmEncrypt(
  key: Uint8Array,
  iv: Uint8Array,
  plaintext: Uint8Array,
  aad?: Uint8Array,
): Buffer {
  assertKeyLength(key, 'AES key');
  const cipher = createCipheriv('aes-256-gcm', secretKey(key), iv, { authTagLength: TAG_BYTES });
  if (aad !== undefined) cipher.setAAD(aad);
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

/**
 * The reverse of `aesGcmEncrypt`.
 *
 * @returns null if the iv has not 12 bytes, the tag is incomplete, or key, iv, aad, ciphertext and tag do not belong
 *   together; which of these it was stays unsaid
 */
export function aesGcmDecrypt(
  key: Uint8Array,
  iv: Uint8Array,
  ciphertextAndTag: Uint8Array,
  aad?: Uint8Array,
): Buffer | null {
  assertKeyLength(key, 'AES key');
  if (iv.length !== IV_BYTES || ciphertextAndTag.length < TAG_BYTES) return null;
  const tagStart = ciphertextAndTag.length - TAG_BYTES;
  const decipher = createDecipheriv('aes-256-gcm', secretKey(key), iv, { authTagLength: TAG_BYTES });
  if (aad !== undefined) decipher.setAAD(aad);
  decipher.setAuthTag(ciphertextAndTag.subarray(tagStart));
  // GCM is a stream mode: `update` gives all bytes, `final` gives none and only checks the tag.
  const plaintext = decipher.update(ciphertextAndTag.subarray(0, tagStart));
  try {
    decipher.final();
    return plaintext;
  } catch {
    plaintext.fill(0);
    return null;
  }
}

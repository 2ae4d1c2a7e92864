import { randomBytes } from 'node:crypto';
import { aesGcmDecrypt, aesGcmEncrypt, IV_BYTES } from './aes-gcm.ts';
import { decodeBase64, decodeJson, encodeJson } from './encodings.ts';
import { withSecret } from './key-bytes.ts';
import { CIPHERTEXT_PREFIX } from '#domain/base/text/prompt-text.ts';

export type DecryptedValue = { readonly ok: true; readonly value: unknown } | { readonly ok: false };

/** Whether a stored field is ciphertext; such a text is never passed on as if it were the value. */
export const isEncryptedValue = (value: unknown): value is string =>
  typeof value === 'string' && value.startsWith(CIPHERTEXT_PREFIX);

/**
 * Decrypts one stored field: `enc:1:<base64 iv>.<base64 ciphertext and tag>`, AES-256-GCM over JSON
 * (docs/platform.md section 5). Values that are not of this form were written in clear and pass through unchanged.
 *
 * @param key the user's master key, 32 bytes
 */
export function decryptFieldValue(key: Uint8Array, stored: unknown): DecryptedValue {
  if (!isEncryptedValue(stored)) return { ok: true, value: stored };
  const parts = stored.slice(CIPHERTEXT_PREFIX.length).split('.', 3);
  if (parts.length !== 2) return { ok: false };
  const [iv, ciphertextAndTag] = parts.map(decodeBase64);
  if (!iv || !ciphertextAndTag) return { ok: false };
  const plaintext = aesGcmDecrypt(key, iv, ciphertextAndTag);
  const decoded = plaintext === null ? null : withSecret(plaintext, decodeJson);
  return decoded === null ? { ok: false } : { ok: true, value: decoded.value };
}

/**
 * Encrypts a field as the web app does. The product itself never writes encrypted fields; the development web app
 * and the tests do.
 *
 * @throws TypeError for null and undefined, which are never encrypted (docs/platform.md section 5)
 */
export function encryptFieldValue(key: Uint8Array, value: unknown): string {
  if (value === null || value === undefined) throw new TypeError('null and undefined are never encrypted');
  const iv = randomBytes(IV_BYTES);
  const ciphertextAndTag = withSecret(encodeJson(value), (plaintext) => aesGcmEncrypt(key, iv, plaintext));
  return `${CIPHERTEXT_PREFIX}${iv.toString('base64')}.${ciphertextAndTag.toString('base64')}`;
}

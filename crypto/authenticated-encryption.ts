import { randomBytes } from 'node:crypto';
import { aesGcmDecrypt, aesGcmEncrypt, IV_BYTES, TAG_BYTES } from './aes-gcm.ts';

const FORMAT_VERSION = 1;
const CIPHERTEXT_START = 1 + IV_BYTES;

/**
 * AES-256-GCM with a random iv. Layout: 1 byte format version, 12 bytes iv, ciphertext, 16 bytes tag. The version
 * needs no protection of its own while there is only one, as every other value is refused.
 *
 * @param key 32 bytes; at most 2^32 values under one key (NIST SP 800-38D section 8.3)
 * @param aad what the bytes belong to, see `canonicalContext`
 */
export function encryptBytes(key: Uint8Array, aad: string, plaintext: Uint8Array): Buffer {
  const iv = randomBytes(IV_BYTES);
  const ciphertextAndTag = aesGcmEncrypt(key, iv, plaintext, Buffer.from(aad, 'utf8'));
  return Buffer.concat([Buffer.of(FORMAT_VERSION), iv, ciphertextAndTag]);
}

/** The reverse of `encryptBytes`; null for every reason alike. */
export function decryptBytes(key: Uint8Array, aad: string, sealed: Uint8Array): Buffer | null {
  if (sealed.length < CIPHERTEXT_START + TAG_BYTES || sealed[0] !== FORMAT_VERSION) return null;
  const iv = sealed.subarray(1, CIPHERTEXT_START);
  return aesGcmDecrypt(key, iv, sealed.subarray(CIPHERTEXT_START), Buffer.from(aad, 'utf8'));
}

/**
 * The AAD of a value: a JSON array of its purpose and of everything that says where it belongs. Quoting keeps
 * `["a","b,c"]` and `["a,b","c"]` apart.
 */
export const canonicalContext = (purpose: string, ...parts: readonly (string | number)[]): string =>
  JSON.stringify([purpose, ...parts]);

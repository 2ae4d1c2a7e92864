import { createSecretKey, type KeyObject } from 'node:crypto';

/** Master keys, key encryption keys, mission data keys and run keys are all AES-256 keys. */
export const KEY_BYTES = 32;

/** @throws TypeError with the length found, never the bytes */
export function assertKeyLength(key: Uint8Array, name: string): void {
  if (key.length !== KEY_BYTES) {
    throw new TypeError(`${name}: found ${key.length} bytes, expected ${KEY_BYTES}`);
  }
}

/**
 * Bytes as a key object. Node finds out that bytes are none by an exception, which costs twice what the cipher does. Its copy is
 * overwritten when it is collected, as that of the cipher itself.
 */
export const secretKey = (key: Uint8Array): KeyObject => createSecretKey(key);

/**
 * Runs `use` with secret bytes that were made for it alone, a key or a plaintext, and overwrites them afterwards.
 *
 * This shortens the time a secret lies in memory; it does not promise erasure: the garbage collector, OpenSSL and the
 * operating system may have made copies that JavaScript cannot reach, and strings cannot be overwritten at all.
 */
export function withSecret<Secret extends Uint8Array, Result>(
  secret: Secret,
  use: (secret: Secret) => Result,
): Result {
  try {
    return use(secret);
  } finally {
    secret.fill(0);
  }
}

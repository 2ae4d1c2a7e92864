import { createHash, createPublicKey, type KeyObject } from 'node:crypto';

/**
 * The name of a key pair, RSA or Ed25519, in logs, the mint log and signatures: the first 8 bytes, in hex, of the SHA-256 of the public
 * key's SPKI DER. A private key gives the id of its pair.
 */
export function publicKeyId(key: KeyObject): string {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(spki).digest('hex').slice(0, 16);
}

import { createHash, createPublicKey, sign, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { encodeField, encodeInteger } from './audit-chain.ts';
import type { ChainPosition } from './audit-chain.ts';

const CHECKPOINT_TAG = 'mana-missions/audit-checkpoint/v1';

/** Says: this user's chain was whole up to this row, and pruning it up to here was the operator's act. */
export interface AuditCheckpoint extends ChainPosition {
  readonly userId: string;
}

export interface CheckpointSignature {
  /** See `checkpointKeyId`. */
  readonly keyId: string;
  /** 64 bytes, Ed25519. */
  readonly signature: Buffer;
}

/** First 8 bytes, in hex, of the SHA-256 of the public key's SPKI DER. A private key gives the id of its pair. */
export function checkpointKeyId(key: KeyObject): string {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(spki).digest('hex').slice(0, 16);
}

/** @param privateKey Ed25519 */
export function signCheckpoint(privateKey: KeyObject, checkpoint: AuditCheckpoint): CheckpointSignature {
  return {
    keyId: checkpointKeyId(privateKey),
    signature: sign(null, encodeCheckpoint(checkpoint), privateKey),
  };
}

/** @param publicKeys Ed25519; several while keys are being changed */
export function verifyCheckpoint(
  publicKeys: readonly KeyObject[],
  checkpoint: AuditCheckpoint,
  { keyId, signature }: CheckpointSignature,
): 'ok' | 'unknown-key' | 'bad-signature' {
  const publicKey = publicKeys.find((key) => checkpointKeyId(key) === keyId);
  if (publicKey === undefined) return 'unknown-key';
  return verify(null, encodeCheckpoint(checkpoint), publicKey, signature) ? 'ok' : 'bad-signature';
}

const encodeCheckpoint = ({ userId, seq, hash }: AuditCheckpoint): Buffer =>
  Buffer.concat([encodeField(CHECKPOINT_TAG), encodeField(userId), encodeInteger(seq), hash]);

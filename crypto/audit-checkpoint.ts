import { sign, verify, type KeyObject } from 'node:crypto';
import { encodeField, encodeInteger, type ChainPosition } from './audit-chain.ts';
import { publicKeyId } from './key-id.ts';

const CHECKPOINT_TAG = 'mana-missions/audit-checkpoint/v1';

/** Says: this user's chain was whole up to this row, and pruning it up to here was the operator's act. */
export interface AuditCheckpoint extends ChainPosition {
  readonly userId: string;
}

export interface CheckpointSignature {
  /** See `publicKeyId`. */
  readonly keyId: string;
  /** 64 bytes, Ed25519. */
  readonly signature: Buffer;
}

/** @param privateKey Ed25519 */
export function signCheckpoint(privateKey: KeyObject, checkpoint: AuditCheckpoint): CheckpointSignature {
  return {
    keyId: publicKeyId(privateKey),
    signature: sign(null, encodeCheckpoint(checkpoint), privateKey),
  };
}

/** @param publicKeys Ed25519; several while keys are being changed */
export function verifyCheckpoint(
  publicKeys: readonly KeyObject[],
  checkpoint: AuditCheckpoint,
  { keyId, signature }: CheckpointSignature,
): 'ok' | 'unknown-key' | 'bad-signature' {
  const publicKey = publicKeys.find((key) => publicKeyId(key) === keyId);
  if (publicKey === undefined) return 'unknown-key';
  return verify(null, encodeCheckpoint(checkpoint), publicKey, signature) ? 'ok' : 'bad-signature';
}

const encodeCheckpoint = ({ userId, seq, hash }: AuditCheckpoint): Buffer =>
  Buffer.concat([encodeField(CHECKPOINT_TAG), encodeField(userId), encodeInteger(seq), hash]);

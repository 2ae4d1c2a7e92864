import { createHash } from 'node:crypto';
import type { AuditRow } from '#domain/wire/rows.ts';

/** A place in a chain: the sequence number and the hash of the row that stands there. */
export interface ChainPosition {
  readonly seq: bigint;
  /** 32 bytes. */
  readonly hash: Buffer;
}

const HASH_BYTES = 32;
/** What the first row of a chain continues. */
export const CHAIN_BEGINNING: ChainPosition = { seq: 0n, hash: Buffer.alloc(HASH_BYTES) };

const ROW_TAG = 'mana-missions/decrypt-audit/v1';
const NULL_FIELD = Buffer.from('ffffffff', 'hex');

/** 4 bytes of length, big-endian, and the text in UTF-8; null has the length -1. */
export function encodeField(value: string | null): Buffer {
  if (value === null) return NULL_FIELD;
  const bytes = Buffer.from(value, 'utf8');
  const length = Buffer.alloc(4);
  length.writeInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/** 8 bytes, big-endian, two's complement. */
export function encodeInteger(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(value);
  return bytes;
}

/**
 * The hash that a row has in its chain: SHA-256 over the canonical encoding of the row and its predecessor's hash. The
 * database's trigger computes the same (`mana_ai.decrypt_audit_hash`); this is the second implementation that checks it.
 *
 * @param previousHash 32 bytes: the predecessor's hash, zeros before the first row
 * @returns 32 bytes
 * @see docs/audit.md
 */
export function auditRowHash(row: AuditRow, previousHash: Uint8Array): Buffer {
  return createHash('sha256')
    .update(encodeField(ROW_TAG))
    .update(previousHash)
    .update(encodeInteger(row.seq))
    .update(encodeInteger(row.id))
    .update(encodeField(row.userId))
    .update(encodeField(row.missionId))
    .update(encodeField(row.iterationId))
    .update(encodeField(row.tableName))
    .update(encodeField(row.recordId))
    .update(encodeField(row.status))
    .update(encodeField(row.reason))
    .update(encodeInteger(row.tsMicros))
    .digest();
}

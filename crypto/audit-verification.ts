import { auditRowHash, type ChainPosition } from './audit-chain.ts';
import type { AuditRow } from '#domain/wire/rows.ts';

/** A row as it is stored, with the hash that the trigger gave it. */
export interface StoredAuditRow extends AuditRow {
  readonly hash: Buffer;
}

/** What is wrong with a chain, and where. */
export interface ChainProblem {
  readonly kind: 'removed' | 'changed' | 'out-of-place';
  /** The row, or the first of those that are missing. */
  readonly fromSeq: bigint;
  /** The row, or the last of those that are missing. */
  readonly toSeq: bigint;
  /** For the operator; names no content. */
  readonly message: string;
}

/** Takes the rows of one chain in the order of `seq`, one by one, so a chain of any length needs little memory. */
export interface ChainVerifier {
  /** What is wrong with this row and, if some are missing, with what should stand before it. */
  check(row: StoredAuditRow): readonly ChainProblem[];
  /** The last row seen, else where the chain was taken up. */
  position(): ChainPosition;
}

/**
 * Recomputes a chain. A row that was changed is named alone: the rows after it are held against the hash that it is
 * stored with, and against the one that it should have.
 *
 * @param start where the chain is taken up: its beginning, or a checkpoint whose signature was verified
 */
export function createChainVerifier(userId: string, start: ChainPosition): ChainVerifier {
  let last = start;
  /** Hashes that the next row may continue; none after a gap, for then its predecessor is gone. */
  let predecessors: readonly Buffer[] = [start.hash];

  const check = (row: StoredAuditRow): ChainProblem[] => {
    const expectedSeq = last.seq + 1n;
    if (row.seq < expectedSeq) return [outOfPlace(row.seq, last.seq)];
    const isAfterGap = row.seq > expectedSeq;
    const problems = isAfterGap ? [removed(expectedSeq, row.seq - 1n)] : [];
    // The user is the one whose chain this is, whatever the row says.
    const hashes = (isAfterGap ? [] : predecessors).map((hash) => auditRowHash({ ...row, userId }, hash));
    const isRight = isAfterGap || hashes.some((hash) => hash.equals(row.hash));
    if (!isRight || row.userId !== userId) problems.push(changed(row.seq));
    last = { seq: row.seq, hash: row.hash };
    predecessors = isRight ? [row.hash] : [row.hash, ...hashes];
    return problems;
  };
  return { check, position: () => last };
}

const removed = (fromSeq: bigint, toSeq: bigint): ChainProblem => ({
  kind: 'removed',
  fromSeq,
  toSeq,
  message:
    fromSeq === toSeq
      ? `row ${fromSeq} was removed; what row ${toSeq + 1n} holds cannot be checked without it`
      : `rows ${fromSeq} to ${toSeq} were removed; what row ${toSeq + 1n} holds cannot be checked without them`,
});

const changed = (seq: bigint): ChainProblem => ({
  kind: 'changed',
  fromSeq: seq,
  toSeq: seq,
  message:
    `row ${seq} is not the one that was chained here: it was changed, moved or inserted` +
    (seq > 1n ? `, or row ${seq - 1n} was changed together with its hash` : ''),
});

const outOfPlace = (seq: bigint, lastSeq: bigint): ChainProblem => ({
  kind: 'out-of-place',
  fromSeq: seq,
  toSeq: seq,
  message: `a row ${seq} stands where the chain has come to row ${lastSeq} already: it was inserted or copied`,
});

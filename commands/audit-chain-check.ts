import { CHAIN_BEGINNING, type ChainPosition } from '#crypto/audit-chain.ts';
import { verifyCheckpoint } from '#crypto/audit-checkpoint.ts';
import { createChainVerifier } from '#crypto/audit-verification.ts';
import type { KeyObject } from 'node:crypto';
import {
  readChainPage,
  readCheckpoints,
  type ChainedAuditRow,
  type StoredCheckpoint,
} from '#db/audit-chain.ts';
import type { Transaction } from '#db/transaction.ts';

/** Something in a user's chain that is not as it was written. */
export interface AuditFinding {
  readonly kind: 'removed' | 'changed' | 'out-of-place' | 'checkpoint' | 'head';
  readonly fromSeq: bigint;
  readonly toSeq: bigint;
  readonly message: string;
}

export interface CheckedChain {
  readonly findings: readonly AuditFinding[];
  readonly rows: number;
  /** Where the chain was taken up: the last checkpoint, or its beginning. */
  readonly start: ChainPosition;
  readonly end: ChainPosition;
}

/** A head that was logged or returned earlier. */
export type LoggedHead = ChainPosition;

const PAGE_SIZE = 1000;
/** A chain that was rewritten altogether would have a finding for each row. */
const MAX_FINDINGS = 1000;

/**
 * Recomputes a user's chain from its last checkpoint on, a page at a time.
 *
 * @param options.throughSeq rows after this one are left out
 * @param options.heads heads that the chain had once, by sequence number: it must still go through them
 */
export async function checkChain(
  tx: Transaction,
  userId: string,
  options: {
    readonly publicKeys: readonly KeyObject[];
    readonly throughSeq?: bigint;
    readonly heads?: readonly LoggedHead[];
  },
): Promise<CheckedChain> {
  const checkpoints = await readCheckpoints(tx, userId);
  const findings: AuditFinding[] = checkpoints.flatMap((each) =>
    checkpointFindings(each, options.publicKeys),
  );
  const start: ChainPosition = checkpoints.at(-1) ?? CHAIN_BEGINNING;
  const verifier = createChainVerifier(userId, start);
  const heads = createHeadCheck(options.heads ?? [], checkpoints);
  let rows = 0;
  for await (const row of chainRows(tx, userId, options.throughSeq ?? null)) {
    rows += 1;
    if (findings.length < MAX_FINDINGS) findings.push(...verifier.check(row));
    heads.see(row);
  }
  return { findings: [...findings, ...heads.findings()], rows, start, end: verifier.position() };
}

async function* chainRows(
  tx: Transaction,
  userId: string,
  throughSeq: bigint | null,
): AsyncGenerator<ChainedAuditRow, void, undefined> {
  let after: ChainedAuditRow | null = null;
  for (;;) {
    const page: ChainedAuditRow[] = await readChainPage(tx, userId, after, PAGE_SIZE);
    for (const row of page) {
      if (throughSeq !== null && row.seq > throughSeq) return;
      yield row;
    }
    after = page.at(-1) ?? null;
    if (after === null || page.length < PAGE_SIZE) return;
  }
}

function checkpointFindings(
  checkpoint: StoredCheckpoint,
  publicKeys: readonly KeyObject[],
): readonly AuditFinding[] {
  const outcome = verifyCheckpoint(publicKeys, checkpoint, checkpoint);
  if (outcome === 'ok') return [];
  const message =
    outcome === 'unknown-key'
      ? `the checkpoint of row ${checkpoint.seq} cannot be checked: AUDIT_CHECKPOINT_PUBLIC_KEY_PEM holds no key ${checkpoint.keyId}`
      : `the checkpoint of row ${checkpoint.seq} was not signed by the key that it names: it was changed or made up`;
  return [{ kind: 'checkpoint', fromSeq: checkpoint.seq, toSeq: checkpoint.seq, message }];
}

/** Holds logged heads against what stands at their place now. Those pruned away meanwhile cannot be checked. */
function createHeadCheck(heads: readonly LoggedHead[], checkpoints: readonly StoredCheckpoint[]) {
  const wanted = new Map<bigint, Buffer[]>();
  for (const { seq, hash } of heads) {
    if (seq > 0n) wanted.set(seq, [...(wanted.get(seq) ?? []), hash]);
  }
  const found: AuditFinding[] = [];
  const see = ({ seq, hash }: ChainPosition): void => {
    for (const head of wanted.get(seq) ?? []) {
      if (!head.equals(hash)) found.push(headFinding(seq, `row ${seq} had another hash: it was rewritten`));
    }
    wanted.delete(seq);
  };
  for (const checkpoint of checkpoints) see(checkpoint);
  const prunedThrough = checkpoints.at(-1)?.seq ?? 0n;
  const missing = (): AuditFinding[] =>
    [...wanted.keys()]
      .filter((seq) => seq > prunedThrough)
      .map((seq) =>
        headFinding(seq, `the chain once reached row ${seq}, which is not there: it was cut off`),
      );
  return { see, findings: (): AuditFinding[] => [...found, ...missing()] };
}

const headFinding = (seq: bigint, message: string): AuditFinding => ({
  kind: 'head',
  fromSeq: seq,
  toSeq: seq,
  message: `${message} after that head was noted`,
});

import { createHash } from 'node:crypto';
import type { AuditRow, GrantRow } from './facts.ts';
import type { RoundAsked } from './rounds.ts';

/** Rows at which a user's chain breaks, by docs/audit.md. Rows come in the order of users and of `seq`. */
export function brokenChains(rows: readonly AuditRow[]): string[] {
  const broken: string[] = [];
  for (const [userId, chain] of Map.groupBy(rows, (row) => row.userId)) {
    let previous = Buffer.alloc(32);
    for (const [index, row] of chain.entries()) {
      if (row.seq !== BigInt(index + 1) || !hashOf(row, previous).equals(row.hash))
        broken.push(`${userId} ${row.seq}`);
      previous = Buffer.from(row.hash);
    }
  }
  return broken;
}

function hashOf(row: AuditRow, previous: Uint8Array): Buffer {
  const fields = [
    row.userId,
    row.missionId,
    row.iterationId,
    row.tableName,
    row.recordId,
    row.status,
    row.reason,
  ];
  const parts = [
    ...[field('mana-missions/decrypt-audit/v1'), previous, integer(row.seq), integer(row.id)],
    ...[...fields.map(field), integer(row.tsMicros)],
  ];
  return createHash('sha256').update(Buffer.concat(parts)).digest();
}

function field(value: string | null): Buffer {
  const text = Buffer.from(value ?? '', 'utf8');
  const length = Buffer.alloc(4);
  length.writeInt32BE(value === null ? -1 : text.length);
  return Buffer.concat([length, text]);
}

function integer(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(value);
  return bytes;
}

/** Records whose text the gateway saw before, or without, a row that says so. */
export function openedWithoutAudit(rounds: readonly RoundAsked[], audit: readonly AuditRow[]): string[] {
  const missing = rounds.flatMap(({ missionId, opened, askedAtMs }) =>
    opened
      .filter((name) => {
        const [table, recordId] = name.split('/');
        return !audit.some(
          (row) =>
            row.missionId === missionId &&
            row.tableName === table &&
            row.recordId === recordId &&
            row.status === 'ok' &&
            // The log of the gateway has whole milliseconds.
            Number(row.tsMicros) / 1_000 < askedAtMs + 1,
        );
      })
      .map((name) => `${missionId} ${name}`),
  );
  return [...new Set(missing)];
}

/**
 * Openings and requests at a time at which no grant of the mission held.
 *
 * @param graceMs how long a request may have been on its way since the grant was looked at
 */
export function usesWithoutGrant(
  rounds: readonly RoundAsked[],
  audit: readonly AuditRow[],
  grants: readonly GrantRow[],
  graceMs: number,
): string[] {
  const holds = (missionId: string, atMs: number): boolean =>
    grants.some(
      (grant) =>
        grant.missionId === missionId &&
        grant.issuedAtMs <= atMs + graceMs &&
        atMs - graceMs < Math.min(grant.expiresAtMs, grant.revokedAtMs ?? Infinity),
    );
  return [
    ...audit
      .filter(
        ({ status, missionId, tsMicros }) => status === 'ok' && !holds(missionId, Number(tsMicros) / 1_000),
      )
      .map(({ missionId, recordId }) => `${missionId} opened ${recordId}`),
    ...rounds
      .filter(({ opened, missionId, askedAtMs }) => opened.length > 0 && !holds(missionId, askedAtMs))
      .map(({ missionId, round }) => `${missionId} asked round ${round}`),
  ];
}

import { formatInstant } from '#domain/base/instant.ts';

/** `client_id` of every row we write (docs/platform.md section 2). */
export const RUNNER_CLIENT_ID = 'mana-ai-runner';

/** One row of `sync_changes` as far as merging needs it (docs/platform.md section 1). */
export interface ChangeRow {
  /** The row's primary key: two rows with one id are the same row. */
  readonly id: string;
  readonly op: string;
  readonly data: unknown;
  readonly fieldMeta: unknown;
  /** ISO 8601 with microseconds. */
  readonly createdAt: string;
  readonly clientId: string | null;
}

/** Devices compare times as texts of this length; a longer year would sort before all others. */
export const LATEST_WRITABLE_MS = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

/**
 * The time of a field that we write: now, but later than what is stored, or a device drops it (docs/platform.md section 1).
 *
 * @param storedMicros time of the field's last write, or null
 * @returns `YYYY-MM-DDTHH:MM:SS.mmmZ`
 */
export function writerTime(nowMs: number, storedMicros: bigint | null): string {
  const storedMs = storedMicros === null ? -Infinity : Number(storedMicros / 1000n);
  return formatInstant(Math.min(Math.max(nowMs, storedMs + 1), LATEST_WRITABLE_MS));
}

/** A row of `mana_ai.decrypt_audit` (docs/platform.md section 8) with its place in its user's chain. */
export interface AuditRow {
  readonly seq: bigint;
  readonly id: bigint;
  readonly userId: string;
  readonly missionId: string;
  readonly iterationId: string | null;
  readonly tableName: string;
  readonly recordId: string;
  readonly status: string;
  readonly reason: string | null;
  /** Microseconds since 1970: the database's precision, which a Date would cut. */
  readonly tsMicros: bigint;
}

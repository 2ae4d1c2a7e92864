import type { ChangeRow } from '#domain/wire/rows.ts';
import { instantMs } from '#domain/base/instant.ts';

/**
 * When the user last revoked a mission's grant by writing `grant: null` (docs/platform.md section 7), or null if never. It
 * revokes only what was issued before it: a grant minted a moment ago and not yet in the record survives. An insert
 * that happens to carry `grant: null` says that there was none yet, not that one was revoked.
 *
 * @param rows all rows of the mission, of one user
 */
export function lastRevocationMs(rows: readonly ChangeRow[]): number | null {
  const times = rows.filter(revokes).map((row) => fieldTimeMs(row.fieldMeta) ?? instantMs(row.createdAt));
  return times.reduce(
    (latest, time) => (time !== null && (latest === null || time > latest) ? time : latest),
    null,
  );
}

const revokes = (row: ChangeRow): boolean => row.op === 'update' && ownValue(row.data, 'grant') === null;

const fieldTimeMs = (fieldMeta: unknown): number | null => instantMs(ownValue(fieldMeta, 'grant'));

/** Undefined when there is no such field, which is not the same as null. */
const ownValue = (value: unknown, key: string): unknown =>
  typeof value === 'object' && value !== null
    ? Object.getOwnPropertyDescriptor(value, key)?.value
    : undefined;

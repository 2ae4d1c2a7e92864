import { formatInstant } from '#domain/base/instant.ts';

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

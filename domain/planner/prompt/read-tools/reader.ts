import { Temporal } from 'temporal-polyfill';
import { instantMs } from '#domain/base/instant.ts';
import { localTime, type UserZone } from '#domain/base/local-time.ts';
import { cutAtWord, visibleText } from '#domain/base/text/prompt-text.ts';
import type { ReadableRecord } from '#domain/run/run-inputs.ts';

export interface ReadRequest {
  /** Those of the tool's kind. */
  readonly records: readonly ReadableRecord[];
  /** Checked against the tool's schema. */
  readonly params: Readonly<Record<string, unknown>>;
  readonly nowMs: number;
  readonly timeZone: UserZone;
}

/** Plain values for JSON: what holds for all, and one entry for each record that was asked for. */
export interface ReadAnswer {
  readonly facts: Readonly<Record<string, unknown>>;
  readonly entries?: readonly unknown[];
}

/** Answers from the records alone, or with an error that the model can act upon. */
export type Reader = (request: ReadRequest) => ReadAnswer | string;

const MAX_LINE_CHARS = 200;

/** A text of a record on one line as the model may see it, or undefined (left out of JSON) where there is none. */
export function text(
  record: ReadableRecord,
  field: string,
  maxChars: number = MAX_LINE_CHARS,
): string | undefined {
  const value = record.fields[field];
  const shown = typeof value === 'string' ? cutAtWord(visibleText(value).replace(/\s+/g, ' '), maxChars) : '';
  return shown === '' ? undefined : shown;
}

/** A time of a record by the user's clock, as `text` shows it. */
export function time(record: ReadableRecord, field: string, timeZone: UserZone): string | undefined {
  const shown = text(record, field);
  return shown === undefined ? undefined : localTime(shown, timeZone);
}

export const textParam = (value: unknown): string | undefined =>
  typeof value === 'string' ? value : undefined;

export const numberOf = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isFinite(value) ? value : undefined;

/** A whole number from 1 to 100, whatever the model asked for. */
export const limitOf = (value: unknown, byDefault: number): number =>
  Math.min(100, Math.max(1, Math.floor(numberOf(value) ?? byDefault)));

/** `YYYY-MM-DD` in the user's zone. */
export const dayAt = (ms: number, timeZone: UserZone): string =>
  Temporal.Instant.fromEpochMilliseconds(ms)
    .toZonedDateTimeISO(timeZone ?? 'UTC')
    .toPlainDate()
    .toString();

/**
 * The day that a stored time names in the user's zone: a date alone, and a time without a zone, are the user's own.
 *
 * @returns `YYYY-MM-DD`, or null when it is no time
 */
export function dayOf(value: unknown, timeZone: UserZone): string | null {
  const ms = instantMs(value);
  if (ms !== null) return dayAt(ms, timeZone);
  return typeof value === 'string' ? (/^(\d{4}-\d{2}-\d{2})(?![\d])/.exec(value)?.[1] ?? null) : null;
}

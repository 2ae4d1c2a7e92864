/** Whether the same request may be answered otherwise a little later. */
export const isWorthRetrying = (status: number): boolean => status === 408 || status === 429 || status >= 500;

/** What a text says as JSON; undefined for one that is none. */
export function jsonOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A server that asks for more than a day is not believed; it would look like a hung mission. */
const MAX_RETRY_AFTER_MS = 24 * 60 * 60 * 1000;

/**
 * `Retry-After` as milliseconds from now, 0 for a date in the past, null when absent or unreadable.
 *
 * @see RFC 9110 section 10.2.3: seconds or an HTTP date
 */
export function parseRetryAfter(header: string | null, nowMs: number): number | null {
  const text = header?.trim() ?? '';
  const waitMs = /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : dateMs(text) - nowMs;
  return Number.isNaN(waitMs) ? null : Math.ceil(Math.min(Math.max(waitMs, 0), MAX_RETRY_AFTER_MS));
}

/** What the sender's clock said, by which it reckons its dates; ours where it does not say. */
export function senderClockMs(headers: { get(name: string): string | null }): number {
  const ms = dateMs(headers.get('date') ?? '');
  return Number.isNaN(ms) ? Date.now() : ms;
}

/** HTTP dates begin with a day's name; `Date.parse` alone would take a lone number for a year. */
const dateMs = (text: string): number =>
  /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)/.test(text) ? Date.parse(text) : NaN;

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

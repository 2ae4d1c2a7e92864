/** Codes of Node and its fetch for connections that never came about. */
const NO_CONNECTION: ReadonlySet<unknown> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'UND_ERR_CONNECT_TIMEOUT',
]);

/**
 * Whether a request certainly never left, so that nothing can have come of it. Other errors may have met a connection
 * that had carried it already: the kernel reports an unreachable host on those as well.
 *
 * @param error what fetch threw, or a client that wraps it
 */
export function wasNotSent(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  // One error for each address of the host that was tried.
  if (error instanceof AggregateError && error.errors.length > 0) return error.errors.every(wasNotSent);
  if ('code' in error && NO_CONNECTION.has(error.code)) return true;
  if ('syscall' in error && error.syscall === 'connect') return true;
  return wasNotSent(error.cause);
}

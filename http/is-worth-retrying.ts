/** Whether the same request may be answered otherwise a little later. */
export const isWorthRetrying = (status: number): boolean => status === 408 || status === 429 || status >= 500;

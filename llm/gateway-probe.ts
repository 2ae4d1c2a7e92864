const HTTP = {
  OK: 200,
  UNAUTHORIZED: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  NOT_ALLOWED: 405,
  SERVER_ERROR: 500,
} as const;

/**
 * `unknown`: it answers, and has no list of models by which a key could be tried without paying. `unwell`: it answers, with
 * an error of its own.
 */
export interface ProbedGateway {
  readonly key: 'accepted' | 'denied' | 'unknown' | 'unwell';
  readonly status: number;
}

/**
 * Asks a gateway of OpenAI's shape for its models, which costs nothing.
 *
 * @throws TypeError of `fetch` when nobody answers, DOMException when the time is up
 */
export async function probeGateway(options: {
  readonly baseUrl: string;
  readonly serviceKey: string;
  readonly timeoutMs: number;
}): Promise<ProbedGateway> {
  const response = await fetch(`${options.baseUrl.replace(/(?<!\/)\/+$/, '')}/v1/models`, {
    // The gateway wants both; see llm/gateway.ts, also for redirects.
    headers: { 'X-API-Key': options.serviceKey, Authorization: `Bearer ${options.serviceKey}` },
    redirect: 'manual',
    signal: AbortSignal.timeout(options.timeoutMs),
  });
  await response.body?.cancel();
  return { key: keyBy(response.status), status: response.status };
}

function keyBy(status: number): ProbedGateway['key'] {
  if (status === HTTP.OK) return 'accepted';
  if (status === HTTP.UNAUTHORIZED || status === HTTP.FORBIDDEN) return 'denied';
  return status >= HTTP.SERVER_ERROR ? 'unwell' : 'unknown';
}

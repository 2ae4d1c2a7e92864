import { boundedFetch } from '#http/bounded-fetch.ts';
import { wasNotSent } from '#http/connection-errors.ts';
import { jsonOrUndefined, parseRetryAfter, senderClockMs } from '#http/replies.ts';

export interface ExchangeRequest {
  readonly method: 'GET' | 'POST';
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** For the whole exchange, body included. */
  readonly timeoutMs: number;
}

/** What became of one request. No text of the service is kept but the body of an answer. */
export type Exchange =
  /** 2xx; `body` is undefined when it was no JSON. */
  | { readonly kind: 'answered'; readonly body: unknown }
  | { readonly kind: 'refused'; readonly status: number; readonly retryAfterMs: number | null }
  /** No connection came about. */
  | { readonly kind: 'not-sent' }
  /** A timeout, a connection that broke, a body beyond all bounds: the service may have done what was asked. */
  | { readonly kind: 'unknown' };

const fetchOnce = boundedFetch((input, init) => fetch(input, init));

/**
 * Sends one request; nothing is tried again and no redirect is followed, since it could take the key and the user's words
 * elsewhere.
 *
 * @throws the signal's reason when the signal ended the request
 */
export async function exchange(request: ExchangeRequest, signal: AbortSignal): Promise<Exchange> {
  signal.throwIfAborted();
  try {
    const response = await fetchOnce(request.url, {
      method: request.method,
      redirect: 'manual',
      headers: {
        accept: 'application/json',
        ...(request.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...request.headers,
      },
      ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
      signal: AbortSignal.any([signal, AbortSignal.timeout(request.timeoutMs)]),
    });
    if (response.ok) return { kind: 'answered', body: jsonOrUndefined(await response.text()) };
    const retryAfterMs = parseRetryAfter(
      response.headers.get('retry-after'),
      senderClockMs(response.headers),
    );
    return { kind: 'refused', status: response.status, retryAfterMs };
  } catch (error) {
    signal.throwIfAborted();
    return { kind: wasNotSent(error) ? 'not-sent' : 'unknown' };
  }
}

/** The address of a route below a configured one. */
export const routeOf = (baseUrl: string, path: string): string =>
  `${baseUrl.replace(/(?<!\/)\/+$/, '')}${path}`;

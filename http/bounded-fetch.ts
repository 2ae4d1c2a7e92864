/** Far more than a model writes in one reply; a body beyond it would only fill the runner's memory. */
export const MAX_BODY_BYTES = 4 * 1024 * 1024;

/** The body of a success was larger than allowed, so what it held is lost. */
export class BodyTooLargeError extends RangeError {}

const BODYLESS_STATUS: ReadonlySet<number> = new Set([204, 205, 304]);

/**
 * A `fetch` that returns once the body is there. A larger one than `maxBytes` is left where it is: an error has said by its
 * status what matters, a success is rejected with a `BodyTooLargeError`.
 *
 * The OpenAI client ends its timeout when the headers arrive; with the body read in here it covers the whole exchange,
 * and error bodies, which the client reads without a limit, are bounded too.
 */
export function boundedFetch(fetchOnce: typeof fetch, maxBytes: number = MAX_BODY_BYTES): typeof fetch {
  return async (input, init) => {
    const response = await fetchOnce(input, init);
    const hasBody = !BODYLESS_STATUS.has(response.status);
    const body = hasBody ? await readAtMost(response, maxBytes) : null;
    if (body === null && hasBody && response.ok)
      throw new BodyTooLargeError(`response body: more than ${maxBytes} bytes`);
    return new Response(body, { status: response.status, headers: response.headers });
  };
}

/** @returns null for a body that is larger */
async function readAtMost(response: Response, maxBytes: number): Promise<Blob | null> {
  const stream: ReadableStream<Uint8Array<ArrayBuffer>> | null = response.body;
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let bytes = 0;
  for await (const chunk of stream ?? []) {
    bytes += chunk.byteLength;
    // Leaving the loop cancels the stream, and with it the transfer.
    if (bytes > maxBytes) return null;
    chunks.push(chunk);
  }
  return new Blob(chunks);
}

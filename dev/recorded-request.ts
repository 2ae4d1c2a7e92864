import type { IncomingMessage } from 'node:http';
import { z } from 'zod';

const bodySchema = z.looseObject({
  model: z.string(),
  messages: z.array(z.looseObject({ role: z.string() })),
  tools: z.array(z.looseObject({ function: z.looseObject({ name: z.string() }) })).default([]),
});

/** One authorised request for a completion, as the scripted gateway got it. */
export interface RecordedRequest {
  readonly headerNames: readonly string[];
  readonly idempotencyKey: string | null;
  readonly body: z.infer<typeof bodySchema>;
  /** As it came over the wire, to search for texts. */
  readonly bodyText: string;
}

/** Null when the body is no completion request. */
export function recordRequest(incoming: IncomingMessage, bodyText: string): RecordedRequest | null {
  const parsed = bodySchema.safeParse(parseJson(bodyText));
  if (!parsed.success) return null;
  const key = incoming.headers['idempotency-key'];
  return {
    headerNames: Object.keys(incoming.headers).sort(),
    idempotencyKey: typeof key === 'string' ? key : null,
    body: parsed.data,
    bodyText,
  };
}

/** One line of JSON with the full body. */
export const requestLogLine = (
  index: number,
  { headerNames, idempotencyKey, body }: RecordedRequest,
): string => `${JSON.stringify({ request: index + 1, idempotencyKey, headerNames, body })}\n`;

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

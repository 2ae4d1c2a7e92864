import type { Payload } from '@temporalio/common';
import { z } from 'zod';

// Proto3 JSON: bytes are base64, of the ordinary or the URL-safe alphabet, with or without padding.
const bytes = z
  .string({ error: 'found no text, expected base64' })
  .refine((text) => /^[\w+/-]*={0,2}$/.test(text), { error: 'found another text, expected base64' });

const payloadSchema = z.looseObject(
  { metadata: z.record(z.string(), bytes).optional(), data: bytes.optional() },
  { error: 'found no object, expected a payload as protobuf JSON' },
);
export type PayloadJson = z.output<typeof payloadSchema>;

/** Temporal's remote codec protocol: one request may hold all payloads of a page of history. */
const MAX_PAYLOADS = 10_000;
export const payloadsSchema = z.object(
  {
    payloads: z
      .array(payloadSchema, { error: 'found no list, expected payloads' })
      .max(MAX_PAYLOADS, { error: `found more than ${MAX_PAYLOADS}, which are allowed` })
      .default([]),
  },
  { error: 'found no object, expected {"payloads": [...]}' },
);

export const toPayload = ({ metadata = {}, data }: PayloadJson): Payload => ({
  metadata: Object.fromEntries(
    Object.entries(metadata).map(([name, text]) => [name, Buffer.from(text, 'base64')]),
  ),
  ...(data !== undefined && { data: Buffer.from(data, 'base64') }),
});

const base64 = (value: Uint8Array): string => Buffer.from(value).toString('base64');

export const toPayloadJson = ({ metadata, data }: Payload): PayloadJson => ({
  metadata: Object.fromEntries(
    Object.entries(metadata ?? {}).map(([name, value]): [string, string] => [name, base64(value)]),
  ),
  ...(data && { data: base64(data) }),
});

import { hostname } from 'node:os';
import { defaultPayloadConverter } from '@temporalio/common';
import {
  historyToJSON,
  JSONToPayload,
  payloadToJSON,
  type History,
  type JSONPayload,
} from '@temporalio/common/lib/proto-utils.js';
import { createPayloadCodec } from '#temporal/payload-codec.ts';
import { replayCodecKeys } from '#test/replay/codec.ts';

const codec = createPayloadCodec(replayCodecKeys);

/**
 * The history as JSON that says nothing about the machine it was recorded on: identities (`pid@host`, also in names of
 * sticky task queues) are replaced, and stack traces are emptied. Those stand in the encoded attributes of failures,
 * encrypted, but under a key that everybody knows. A replay looks at neither.
 */
export async function scrubbedJson(history: History): Promise<string> {
  const parsed: unknown = JSON.parse(historyToJSON(history));
  const text = JSON.stringify(await withoutStackTraces(parsed), null, 1);
  return `${text.replaceAll(machineIdentity(), 'worker@test')}\n`;
}

const machineIdentity = (): RegExp =>
  new RegExp(`\\d+@${hostname().replaceAll(/[^\w-]/g, (character) => `\\${character}`)}`, 'g');

async function withoutStackTraces(value: unknown): Promise<unknown> {
  if (Array.isArray(value)) return Promise.all(value.map(withoutStackTraces));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(async ([name, inner]): Promise<[string, unknown]> => {
    if (name === 'encodedAttributes') return [name, await withoutEncodedStackTrace(inner as JSONPayload)];
    return [name, name === 'stackTrace' ? '' : await withoutStackTraces(inner)];
  });
  return Object.fromEntries(await Promise.all(entries));
}

async function withoutEncodedStackTrace(encoded: JSONPayload): Promise<JSONPayload> {
  const [payload] = await codec.decode([JSONToPayload(encoded)]);
  if (payload === undefined) throw new Error('the encoded attributes of a failure are not a payload');
  const { message } = defaultPayloadConverter.fromPayload<{ message: string }>(payload);
  const [scrubbed] = await codec.encode([
    defaultPayloadConverter.toPayload<{ message: string; stack_trace: string }>({ message, stack_trace: '' }),
  ]);
  if (scrubbed === undefined) throw new Error('the codec returned no payload');
  return payloadToJSON(scrubbed);
}

import type { Payload, PayloadCodec } from '@temporalio/common';
import proto from '@temporalio/proto';
import { canonicalContext, decryptBytes, encryptBytes } from '../crypto/authenticated-encryption.ts';
import { assertKeyLength } from '../crypto/key-bytes.ts';

/** The keys of the payload codec (`TEMPORAL_CODEC_KEYS`). */
export interface CodecKeys {
  /** Encrypts; the others only decrypt what earlier keys left behind. */
  readonly primaryKeyId: string;
  /** 32 bytes each, by key id. */
  readonly keys: ReadonlyMap<string, Buffer>;
}

export interface PlaintextOptions {
  readonly refusePlaintext?: boolean;
}

const PURPOSE = 'mana-missions/temporal-payload/v1';
/** The encoding that Temporal's samples, UI and CLI know for encrypted payloads. */
const ENCODING = Buffer.from('binary/encrypted', 'utf8');
const KEY_ID_METADATA = 'encryption-key-id';

/** A payload is under a key that this process does not have: keep codec keys longer than the namespace's retention. */
export class UnknownCodecKeyError extends Error {
  override readonly name = 'UnknownCodecKeyError';
  readonly keyId: string;
  constructor(keyId: string) {
    super(
      `payload codec: found a payload under key id ${JSON.stringify(keyId)}, which TEMPORAL_CODEC_KEYS does not hold`,
    );
    this.keyId = keyId;
  }
}

/**
 * A payload is under no key at all: whoever can write to the Temporal server without our keys made it, or a version of
 * before there were any.
 */
export class PlaintextPayloadError extends Error {
  override readonly name = 'PlaintextPayloadError';
  constructor() {
    super(
      'payload codec: found a payload that no codec key encrypted; if it is of before there were codec keys, set ' +
        'TEMPORAL_CODEC_ACCEPT_PLAINTEXT=true on the workers until such runs have ended',
    );
  }
}

/** A payload names one of our keys but does not open: altered, or the id now means another key. */
export class PayloadUnreadableError extends Error {
  override readonly name = 'PayloadUnreadableError';
  readonly keyId: string;
  constructor(keyId: string) {
    super(`payload codec: a payload under key id ${JSON.stringify(keyId)} does not open`);
    this.keyId = keyId;
  }
}

/**
 * Encrypts each payload whole, its metadata included, under AES-256-GCM.
 *
 * The additional authenticated data names purpose and key, never the workflow: a scheduled run's id is the schedule's
 * base id plus its time, which the encoder does not know, so every scheduled run would hang (architecture section 6).
 *
 * @param options.refusePlaintext what is not encrypted is an error on decode, also an empty value; it passes through by
 *   default, for those who only look. The SDK asks no codec for search attributes and headers
 * @throws RangeError without the primary key; TypeError if a key has not 32 bytes
 */
export function createPayloadCodec(
  { primaryKeyId, keys }: CodecKeys,
  { refusePlaintext = false }: PlaintextOptions = {},
): PayloadCodec {
  for (const [id, key] of keys) assertKeyLength(key, `payload codec key ${id}`);
  const primaryKey = keys.get(primaryKeyId);
  if (primaryKey === undefined) {
    throw new RangeError(`payload codec: the primary key id ${JSON.stringify(primaryKeyId)} has no key`);
  }
  return {
    encode: (payloads) =>
      Promise.resolve(payloads.map((payload) => encryptPayload(primaryKeyId, primaryKey, payload))),
    // The SDK expects a rejection, not an exception from the call itself.
    decode: async (payloads) =>
      Promise.resolve(payloads.map((payload) => decryptPayload(keys, payload, refusePlaintext))),
  };
}

function encryptPayload(keyId: string, key: Buffer, payload: Payload): Payload {
  const plaintext = proto.temporal.api.common.v1.Payload.encode(payload).finish();
  return {
    metadata: { encoding: ENCODING, [KEY_ID_METADATA]: Buffer.from(keyId, 'utf8') },
    data: encryptBytes(key, aadOf(keyId), plaintext),
  };
}

function decryptPayload(
  keys: ReadonlyMap<string, Buffer>,
  payload: Payload,
  refusePlaintext: boolean,
): Payload {
  const encoding = payload.metadata?.['encoding'];
  if (!encoding || !ENCODING.equals(encoding)) {
    if (refusePlaintext) throw new PlaintextPayloadError();
    return payload;
  }
  const keyId = Buffer.from(payload.metadata?.[KEY_ID_METADATA] ?? []).toString('utf8');
  const key = keys.get(keyId);
  if (key === undefined) throw new UnknownCodecKeyError(keyId);
  const plaintext = decryptBytes(key, aadOf(keyId), payload.data ?? new Uint8Array());
  if (plaintext === null) throw new PayloadUnreadableError(keyId);
  return proto.temporal.api.common.v1.Payload.decode(plaintext);
}

const aadOf = (keyId: string): string => canonicalContext(PURPOSE, keyId);

import type { LoadedDataConverter, Payload, PayloadCodec } from '@temporalio/common';
import proto from '@temporalio/proto';
import { canonicalContext, decryptBytes, encryptBytes } from '#crypto/authenticated-encryption.ts';
import { assertKeyLength } from '#crypto/key-bytes.ts';
import { OwnError } from '#domain/base/errors.ts';
import { deriveSubkey } from '#crypto/hkdf.ts';

/** The keys of the payload codec (`TEMPORAL_CODEC_KEYS`). */
export interface CodecKeys {
  /** Encrypts; the others only decrypt what earlier keys left behind. */
  readonly primaryKeyId: string;
  /** 32 bytes each, by key id. */
  readonly keys: ReadonlyMap<string, Buffer>;
}

export interface CodecOptions {
  /**
   * What is not encrypted is an error on decode, also an empty value, but for the one text that the server writes itself; it passes
   * through by default, for those who only look.
   */
  readonly refusePlaintext?: boolean;
  /** Told of each payload that is not decoded, besides the error. */
  readonly onUndecodable?: (error: UndecodablePayloadError) => void;
}

const PURPOSE = 'mana-missions/temporal-payload/v1';
/** The encoding that Temporal's samples, UI and CLI know for encrypted payloads. */
const ENCODING = Buffer.from('binary/encrypted', 'utf8');
const KEY_ID_METADATA = 'encryption-key-id';

/** Its text holds no content; the key id is whatever the writer of the payload put there, so only a possible one is told. */
export abstract class UndecodablePayloadError extends OwnError {
  abstract readonly reason: 'unknown-key' | 'does-not-open' | 'plaintext';
}

/** A payload is under a key that this process does not have: docs/operations.md, Rotating codec keys. */
export class UnknownCodecKeyError extends UndecodablePayloadError {
  override readonly name = 'UnknownCodecKeyError';
  readonly reason = 'unknown-key';
  readonly keyId: string;
  constructor(keyId: string) {
    super(`payload codec: found a payload under ${named(keyId)}, which TEMPORAL_CODEC_KEYS does not hold`);
    this.keyId = keyId;
  }
}

/**
 * A payload is under no key at all: whoever can write to the Temporal server without our keys made it, or a version of
 * before there were any.
 */
export class PlaintextPayloadError extends UndecodablePayloadError {
  override readonly name = 'PlaintextPayloadError';
  readonly reason = 'plaintext';
  constructor() {
    super(
      'payload codec: found a payload that no codec key encrypted; if it is of before there were codec keys, set ' +
        'TEMPORAL_CODEC_ACCEPT_PLAINTEXT=true on the workers until such runs have ended',
    );
  }
}

/** A payload names one of our keys but does not open: altered, or the id now means another key. */
export class PayloadUnreadableError extends UndecodablePayloadError {
  override readonly name = 'PayloadUnreadableError';
  readonly reason = 'does-not-open';
  readonly keyId: string;
  constructor(keyId: string) {
    super(`payload codec: a payload under ${named(keyId)} does not open`);
    this.keyId = keyId;
  }
}

/** As `TEMPORAL_CODEC_KEYS` may have them. */
const POSSIBLE_KEY_ID = /^[\w.-]{1,64}$/;
const named = (keyId: string): string =>
  POSSIBLE_KEY_ID.test(keyId) ? `key id "${keyId}"` : 'a key id of another form';

/** Says under which key it encrypts. */
interface EncryptingCodec extends PayloadCodec {
  readonly primaryKeyId: string;
}

/** The id of the key that a client's payloads are encrypted under; null: they are not. */
export function primaryKeyIdOf({ payloadCodecs }: LoadedDataConverter): string | null {
  for (const codec of payloadCodecs) {
    if ('primaryKeyId' in codec && typeof codec.primaryKeyId === 'string') return codec.primaryKeyId;
  }
  return null;
}

/**
 * Encrypts each payload whole, its metadata included, under AES-256-GCM.
 *
 * The additional authenticated data names purpose and key, never the workflow: a scheduled run's id is the schedule's
 * base id plus its time, which the encoder does not know, so every scheduled run would hang (docs/architecture.md section 6).
 *
 * The SDK asks no codec for search attributes and headers.
 *
 * @throws RangeError without the primary key; TypeError if a key has not 32 bytes
 */
export function createPayloadCodec(
  { primaryKeyId, keys }: CodecKeys,
  { refusePlaintext = false, onUndecodable }: CodecOptions = {},
): EncryptingCodec {
  for (const [id, key] of keys) assertKeyLength(key, `payload codec key ${id}`);
  const primaryKey = keys.get(primaryKeyId);
  if (primaryKey === undefined) {
    throw new RangeError(`payload codec: the primary key id ${JSON.stringify(primaryKeyId)} has no key`);
  }
  const decode = (payload: Payload): Payload => {
    try {
      return decryptPayload(keys, payload, refusePlaintext);
    } catch (error) {
      if (error instanceof UndecodablePayloadError) onUndecodable?.(error);
      throw error;
    }
  };
  return {
    primaryKeyId,
    encode: (payloads) =>
      Promise.resolve(payloads.map((payload) => encryptPayload(primaryKeyId, primaryKey, payload))),
    // The SDK expects a rejection, not an exception from the call itself.
    decode: async (payloads) => Promise.resolve(payloads.map(decode)),
  };
}

/** What the writer of an encrypted payload put there; empty where there is none. */
export const keyIdOf = (payload: Payload): string =>
  Buffer.from(payload.metadata?.[KEY_ID_METADATA] ?? []).toString('utf8');

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
    if (refusePlaintext && !isServersOwn(payload)) throw new PlaintextPayloadError();
    return payload;
  }
  const keyId = keyIdOf(payload);
  const key = keys.get(keyId);
  if (key === undefined) throw new UnknownCodecKeyError(keyId);
  const plaintext = decryptBytes(key, aadOf(keyId), payload.data ?? new Uint8Array());
  if (plaintext === null) throw new PayloadUnreadableError(keyId);
  return proto.temporal.api.common.v1.Payload.decode(plaintext);
}

/**
 * What the server puts into the history of a run that cancels an activity which no worker has taken yet, and every worker of that run has
 * to read (`activityCancellationMsgActivityNotStarted` of Temporal's service/history). Of all that a server writes, no other payload
 * reaches a worker; whoever forges this one says nothing by it.
 */
const NOT_STARTED = { encoding: Buffer.from('json/plain'), data: Buffer.from('"ACTIVITY_ID_NOT_STARTED"') };

const isServersOwn = ({ metadata, data }: Payload): boolean =>
  NOT_STARTED.encoding.equals(metadata?.['encoding'] ?? new Uint8Array()) &&
  NOT_STARTED.data.equals(data ?? new Uint8Array());

const aadOf = (keyId: string): string => canonicalContext(PURPOSE, keyId);

/**
 * Keys for a purpose of the API's own, derived from the codec keys: every API process has those, the first one signs, and
 * all are accepted, as with payloads.
 */
export const derivedKeys = ({ primaryKeyId, keys }: CodecKeys, purpose: string): Buffer[] => {
  const ids = [primaryKeyId, ...[...keys.keys()].filter((id) => id !== primaryKeyId)];
  return ids.flatMap((id) => keys.get(id) ?? []).map((key) => deriveSubkey(key, purpose));
};

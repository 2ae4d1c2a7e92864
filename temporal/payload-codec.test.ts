import { defaultPayloadConverter, type Payload } from '@temporalio/common';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  createPayloadCodec,
  PayloadUnreadableError,
  PlaintextPayloadError,
  UnknownCodecKeyError,
} from './payload-codec.ts';

const key = (fill: number): Buffer => Buffer.alloc(32, fill);
const codec = (primaryKeyId: string, keys: Record<string, Buffer>) =>
  createPayloadCodec({ primaryKeyId, keys: new Map(Object.entries(keys)) });

const marker = 'canary-6f2a';
const payload = (value: unknown): Payload => defaultPayloadConverter.toPayload(value);
const value = (from: Payload): unknown => defaultPayloadConverter.fromPayload(from);
const flipped = (bytes: Uint8Array, at: number): Uint8Array =>
  bytes.map((byte, index) => (index === at ? byte ^ 1 : byte));
const encodeOne = async (made: ReturnType<typeof codec>, original: Payload): Promise<Payload> => {
  const [encoded] = await made.encode([original]);
  if (encoded === undefined) throw new Error('nothing encoded');
  return encoded;
};

describe('payload codec', () => {
  it('what is encoded is decoded, bytes and undefined included', async () => {
    const made = codec('a', { a: key(1) });
    const values = [{ text: marker, number: 1.5 }, null, undefined, Buffer.from([0, 255]), 'ünïcode 🎈', ''];
    const decoded = await made.decode(await made.encode(values.map(payload)));
    expect(decoded.map(value).map((one) => (one instanceof Uint8Array ? [...one] : one))).toEqual(
      values.map((one) => (one instanceof Uint8Array ? [...one] : one)),
    );
    expect(await made.encode([])).toEqual([]);
  });

  it('neither value nor original encoding can be seen, and the same value looks different each time', async () => {
    const made = codec('a', { a: key(1) });
    const [first, second] = [await encodeOne(made, payload(marker)), await encodeOne(made, payload(marker))];
    expect(Object.keys(first.metadata ?? {}).sort()).toEqual(['encoding', 'encryption-key-id']);
    expect(Buffer.from(first.metadata?.['encoding'] ?? []).toString()).toBe('binary/encrypted');
    expect(Buffer.from(first.data ?? []).includes(marker)).toBe(false);
    expect(Buffer.from(first.data ?? [])).not.toEqual(Buffer.from(second.data ?? []));
  });

  it('after a rotation the new key encrypts and the old one still decrypts', async () => {
    const old = await encodeOne(codec('a', { a: key(1) }), payload(marker));
    const rotated = codec('b', { b: key(2), a: key(1) });
    expect((await rotated.decode([old])).map(value)).toEqual([marker]);
    const fresh = await encodeOne(rotated, payload(marker));
    expect(Buffer.from(fresh.metadata?.['encryption-key-id'] ?? []).toString()).toBe('b');
  });

  it('a payload under an unknown key names the key and nothing else', async () => {
    const encoded = await encodeOne(codec('gone', { gone: key(1) }), payload(marker));
    const error = await codec('b', { b: key(2) })
      .decode([encoded])
      .catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(UnknownCodecKeyError);
    expect(error).toMatchObject({ keyId: 'gone', message: expect.stringContaining('"gone"') as string });
  });

  it('a changed, cut or lengthened byte, and another key id, are always detected', async () => {
    const made = codec('a', { a: key(1), b: key(2) });
    const change = fc.oneof(
      fc.record({ kind: fc.constant('flip' as const), at: fc.nat(), mask: fc.integer({ min: 1, max: 255 }) }),
      fc.record({ kind: fc.constant('cut' as const), count: fc.integer({ min: 1, max: 64 }) }),
      fc.record({
        kind: fc.constant('lengthen' as const),
        bytes: fc.uint8Array({ minLength: 1, maxLength: 16 }),
      }),
      fc.record({ kind: fc.constant('other-key' as const) }),
    );
    const changed = (
      data: Uint8Array,
      how: typeof change extends fc.Arbitrary<infer Change> ? Change : never,
    ): Uint8Array => {
      if (how.kind === 'flip')
        return data.map((byte, index) => (index === how.at % data.length ? byte ^ how.mask : byte));
      if (how.kind === 'cut') return data.subarray(0, Math.max(0, data.length - how.count));
      return how.kind === 'lengthen' ? Buffer.concat([data, how.bytes]) : data;
    };
    await fc.assert(
      fc.asyncProperty(fc.jsonValue(), change, async (json, how) => {
        const encoded = await encodeOne(made, payload(json));
        const metadata =
          how.kind === 'other-key'
            ? { ...encoded.metadata, 'encryption-key-id': Buffer.from('b') }
            : encoded.metadata;
        const tampered = {
          ...encoded,
          ...(metadata && { metadata }),
          data: changed(encoded.data ?? new Uint8Array(), how),
        };
        await expect(made.decode([tampered])).rejects.toBeInstanceOf(PayloadUnreadableError);
      }),
      { numRuns: 1000 },
    );
  });

  it.each<[string, Payload]>([
    ['JSON', payload(marker)],
    ['nothing at all', payload(undefined)],
    ['bytes', payload(Buffer.from(marker))],
    ['no metadata', { data: new Uint8Array([1]) }],
    ['an empty payload', {}],
    ['another encryption', { metadata: { encoding: Buffer.from('binary/encrypted2') }, data: null }],
  ])('a worker refuses a payload in plaintext, and quotes nothing: %s', async (_, plain) => {
    const keys = { primaryKeyId: 'a', keys: new Map([['a', key(1)]]) };
    const made = createPayloadCodec(keys, { refusePlaintext: true });
    const good = await encodeOne(made, payload(marker));
    expect((await made.decode([good])).map(value)).toEqual([marker]);
    const error = await made.decode([good, plain]).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(PlaintextPayloadError);
    expect(String(error)).not.toContain(marker);
  });

  it('what the server itself says of an activity that no worker had taken passes through, and nothing like it', async () => {
    const made = createPayloadCodec(
      { primaryKeyId: 'a', keys: new Map([['a', key(1)]]) },
      { refusePlaintext: true },
    );
    const own = payload('ACTIVITY_ID_NOT_STARTED');
    expect(await made.decode([own])).toEqual([own]);
    for (const other of [
      payload('ACTIVITY_ID_NOT_STARTED '),
      payload(['ACTIVITY_ID_NOT_STARTED']),
      { ...own, metadata: { encoding: Buffer.from('binary/plain') } },
      { metadata: own.metadata ?? {} },
    ])
      await expect(made.decode([other])).rejects.toThrow(PlaintextPayloadError);
  });

  it('payloads that are not encrypted pass through for those who only look', async () => {
    const made = codec('a', { a: key(1) });
    const plain = [payload(marker), { metadata: {}, data: new Uint8Array([1]) }, {}];
    expect(await made.decode(plain)).toEqual(plain);
  });

  it.each<[string, (encoded: Payload) => Payload]>([
    ['a changed byte', (encoded) => ({ ...encoded, data: flipped(encoded.data ?? new Uint8Array(), 20) })],
    ['a missing byte', (encoded) => ({ ...encoded, data: encoded.data?.subarray(0, -1) ?? null })],
    ['no data', (encoded) => ({ ...encoded, data: null })],
    [
      'another key id with the same key',
      (encoded) => ({ ...encoded, metadata: { ...encoded.metadata, 'encryption-key-id': Buffer.from('b') } }),
    ],
  ])('%s does not open', async (_, change) => {
    const made = codec('a', { a: key(1), b: key(1) });
    const encoded = change(await encodeOne(made, payload('x'.repeat(100))));
    await expect(made.decode([encoded])).rejects.toThrow(PayloadUnreadableError);
  });

  it('unusable keys are refused at once, without their bytes', () => {
    expect(() => codec('a', { b: key(1) })).toThrow(RangeError);
    expect(() => codec('a', { a: Buffer.alloc(16, 0x41) })).toThrow(/16 bytes, expected 32/);
  });
});
